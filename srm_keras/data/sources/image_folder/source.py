"""An image folder as a data source."""

import os
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from absl import logging

from srm_keras.data import decode
from srm_keras.data.checks import path as checked_path
from srm_keras.data.checks import seed_in_range
from srm_keras.data.decode import Verdict
from srm_keras.data.examples import DatasetInfo, Examples
from srm_keras.data.sources.image_folder.layout import (
    ImageList,
    list_images,
    list_unlabelled,
    part_of,
    refuse_lost_classes,
)
from srm_keras.support.validation import boolean, fraction, one_of


def compiled(**patterns: str | None) -> dict[str, re.Pattern[str] | None]:
    """Compiles the patterns that are not None.

    Raises:
        ValueError: If one is no regular expression with exactly one group.
    """
    return {
        name: None if pattern is None else _compiled(name, pattern)
        for name, pattern in patterns.items()
    }


def tags(
    paths: Sequence[Path],
    domain_pattern: re.Pattern[str] | None,
    group_pattern: re.Pattern[str] | None,
) -> tuple[np.ndarray | None, np.ndarray | None]:
    """What the patterns find in the names of the files.

    Args:
        paths: N files.
        domain_pattern: With one group, which matches the domain; or None.
        group_pattern: With one group, which matches the group; or None.

    Returns:
        Domains and groups, each (N,) strings or None. Where there are both, a group's name begins
        with its domain, so that equal numbers in two domains are two groups.

    Raises:
        ValueError: If a name does not match.
    """
    domains = _found("domain_pattern", domain_pattern, paths)
    groups = _found("group_pattern", group_pattern, paths)
    if domains is not None and groups is not None:
        groups = [f"{domain}/{group}" for domain, group in zip(domains, groups, strict=True)]
    return _array(domains), _array(groups)


def _compiled(name: str, pattern: str) -> re.Pattern[str]:
    try:
        result = re.compile(pattern)
    except (re.error, TypeError) as error:
        raise ValueError(
            f"`{name}` must be a regular expression ({error}). Received: {name}={pattern!r}"
        ) from error
    if result.groups != 1:
        raise ValueError(
            f"`{name}` must have exactly one group, as in '^([^_]+)_'. Received: {name}={pattern!r}"
        )
    return result


def _found(name: str, pattern: re.Pattern[str] | None, paths: Sequence[Path]) -> list[str] | None:
    if pattern is None:
        return None
    matches = [pattern.search(path.name) for path in paths]
    unmatched = [path for path, match in zip(paths, matches, strict=True) if not _has(match)]
    if unmatched:
        raise ValueError(
            f"`{name}` must match every file's name. {len(unmatched)} do not match, "
            f"{unmatched[0]} for one. Received: {name}={pattern.pattern!r}"
        )
    return [match.group(1) for match in matches if match]


def _has(match: re.Match[str] | None) -> bool:
    return match is not None and match.group(1) is not None


def _array(values: list[str] | None) -> np.ndarray | None:
    return None if values is None else np.array(values)


_NAMED = 20  # corrupt files that a message lists

Size = tuple[int | None, int | None]


def load_examples(
    split: str,
    *,
    data_dir: str | os.PathLike,
    on_error: str = "raise",
    test_fraction: float | None = None,
    seed: int = 0,
    verify: bool = True,
    domain_pattern: str | None = None,
    group_pattern: str | None = None,
) -> Examples:
    r"""Lists class folders of JPEG, PNG, BMP and WebP files.

    If ``data_dir`` has a folder ``train`` with folders in it, its folders are the splits and theirs
    are the classes. Otherwise its folders are the classes, and the splits are ``"train"`` and
    ``"test"``. The images of a class may lie in folders below it, or in those that links lead to.
    Names that begin with a dot are ignored; how many other files are, by suffix, is logged.

    All files are decoded once before this returns (and not again for the same files later in the
    process), so that a bad one is found now and not in the middle of an epoch.

    Images keep their size and come as RGB: see ``srm_keras.data.decode.decode`` for
    grey, palette, alpha, CMYK and 16-bit files and for EXIF. The order is a fixed random one.

    Args:
        split: Name of the split.
        data_dir: The data set's folder.
        on_error: What a file that cannot be decoded leads to: ``"raise"``, an error that names all
            of them, or ``"skip"``, a warning that names them, and a data set without them.
        test_fraction: Expected part of the files that is the test split where there are no split
            folders, between 0 and 1; 0.2 by default. A file's own name decides, so a new file
            moves no other.
        seed: Integer in [0, 2**63): of the order, and of that fraction.
        verify: Whether all files are decoded once first. Without it a bad file stops the training
            that meets it.
        domain_pattern: A regular expression with one group, searched for in every file's name;
            what the group matches is the image's domain: ``r"^([^_]+)_"`` for ``game_0042_3.jpg``.
        group_pattern: Likewise for the group of images that must stay together in
            cross-validation. Groups of different domains are different ones.

    Returns:
        The ``Examples``, whose images are paths. The height and width in ``info`` are numbers where
        all images have the same.

    Raises:
        ValueError: If an argument is wrong; ``data_dir`` does not exist or holds no image; a class
            folder is empty, or all its files are corrupt; a split has a class that ``train`` has
            not; files are corrupt and ``on_error="raise"``; or a name does not match a pattern.
    """
    _check_options(on_error, test_fraction, seed, verify)
    patterns = compiled(domain_pattern=domain_pattern, group_pattern=group_pattern)
    images = list_images(data_dir, split, test_fraction, seed)
    root = checked_path("data_dir", data_dir)
    examples = as_examples("image_folder", split, images, root, verify=verify, on_error=on_error)
    domains, groups = tags([Path(path) for path in examples.images], **patterns)
    return replace(examples, domains=domains, groups=groups)


def load_unlabelled(
    split: str,
    *,
    data_dir: str | os.PathLike,
    test_fraction: float = 0.1,
    on_error: str = "raise",
    seed: int = 0,
    verify: bool = True,
) -> Examples:
    """Lists the image files of a folder and of all folders below it, as style transfer takes them.

    Which files are the test split follows, file by file, from the seed and their paths below
    ``data_dir``: a new file moves no other.

    Args:
        split: ``"train"``, ``"test"``, or ``"all"`` for both.
        data_dir: The folder.
        test_fraction: Expected part of the images that is the test split, between 0 and 1.
        on_error: As of ``load_examples``.
        seed: As of ``load_examples``.
        verify: As of ``load_examples``.

    Returns:
        The ``Examples``, whose images are paths, all of the one class ``"image"``.

    Raises:
        ValueError: If an argument is wrong; ``data_dir`` does not exist or holds no image, or none
            that falls into the split; or files are corrupt and ``on_error="raise"``.
    """
    one_of("split", split, ("train", "test", "all"))
    _check_options(on_error, test_fraction, seed, verify)
    images = list_unlabelled(data_dir, seed)
    root = checked_path("data_dir", data_dir)
    if split != "all":
        paths = tuple(part_of(images.paths, root, split, test_fraction, seed))
        if not paths:
            raise ValueError(
                f"`data_dir` must hold more images: none of {len(images.paths)} falls into the "
                f"split {split!r} with test_fraction={test_fraction} and seed={seed}. "
                f"Received: data_dir={str(data_dir)!r}"
            )
        images = replace(images, paths=paths, labels=(0,) * len(paths))
    return as_examples("image_files", split, images, root, verify=verify, on_error=on_error)


def as_examples(
    name: str,
    split: str,
    images: ImageList,
    root: Path,
    *,
    verify: bool = False,
    on_error: str = "raise",
) -> Examples:
    """``Examples`` of a list of files.

    Args:
        name: The source's name.
        split: The split's name.
        images: The files, their classes and the classes' names.
        root: The data set's folder.
        verify: Whether every file is decoded once, now; without it ``info`` has no height and
            width.
        on_error: What is then done about bad files: ``"raise"`` or ``"skip"``.

    Raises:
        ValueError: If files are corrupt and ``on_error="raise"``, or all files of a class are.
    """
    size: Size = (None, None)
    if verify:
        images, size = _verified(images, on_error, f"The split {split!r} of {name!r}")
    names = images.class_names
    info = DatasetInfo(name, split, len(images.paths), len(names), names, (*size, 3))
    return Examples(images.paths, np.array(images.labels, "int32"), info, root=root)


def _check_options(on_error: str, test_fraction: float | None, seed: int, verify: bool) -> None:
    one_of("on_error", on_error, ("raise", "skip"))
    seed_in_range(seed)
    boolean("verify", verify)
    if on_error == "skip" and not verify:
        raise ValueError(
            "`on_error` must be 'raise' with verify=False: which files are bad is then not known. "
            "Received: on_error='skip', verify=False"
        )
    if test_fraction is not None and fraction("test_fraction", test_fraction) in (0, 1):
        raise ValueError(
            f"`test_fraction` must lie between 0 and 1. Received: test_fraction={test_fraction}"
        )


def _verified(listed: ImageList, on_error: str, where: str) -> tuple[ImageList, Size]:
    """The files that can be decoded, and their common height and width, or two Nones."""
    verdicts = dict(zip(listed.paths, decode.verify(listed.paths), strict=True))
    corrupt = {path: verdict for path, verdict in verdicts.items() if verdict.size is None}
    if corrupt and on_error == "raise":
        raise ValueError(
            f"{where} has {_description(corrupt)}\n"
            "Remove them, or leave them out with on_error='skip'."
        )
    if corrupt:
        logging.warning("%s is used without %s", where, _description(corrupt))
    images = listed.without(corrupt)
    refuse_lost_classes(images, listed, where)
    sizes = {verdict.size for verdict in verdicts.values() if verdict.size is not None}
    return images, sizes.pop() if len(sizes) == 1 else (None, None)


def _description(corrupt: dict[Path, Verdict]) -> str:
    ordered = sorted(corrupt.items())
    lines = [f"  {path}: {verdict.error}" for path, verdict in ordered[:_NAMED]]
    if len(ordered) > _NAMED:
        lines.append(f"  … and {len(ordered) - _NAMED} more")
    noun = "file that cannot be decoded" if len(ordered) == 1 else "files that cannot be decoded"
    return "\n".join([f"{len(ordered)} {noun}:", *lines])
