"""How image files are found in folders, which of them a split has, and what class each is."""

import functools
import hashlib
import os
import unicodedata
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from absl import logging

from srm_keras.data import checks
from srm_keras.support.validation import one_of

JPEG = (".jpg", ".jpeg", ".jpe", ".jfif")
SUFFIXES = (*JPEG, ".png", ".bmp", ".webp")
"""Of the files that are images, in any case of letters."""
KINDS = "JPEG, PNG, BMP or WebP"

Identity = tuple[int, int]
_Place = tuple[Path, frozenset[Identity]]


def is_image(path: str | os.PathLike) -> bool:
    """Whether a file is one to list, by its name: of a known suffix and not hidden."""
    path = Path(path)
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".")


def images_below(folder: Path) -> list[Path]:
    """All image files in a folder and in those below it, sorted, as ``find_images`` finds them.

    What is passed over is told in one line.
    """
    images, others = find_images(folder)
    tell_passed_over(folder, others)
    return images


def find_images(folder: Path) -> tuple[list[Path], Counter[str]]:
    """Finds the image files in a folder and in those below it, links to folders followed.

    Names that begin with a dot do not count. A link to nothing is listed if its name is that of an
    image: it fails when it is read.

    Args:
        folder: The folder.

    Returns:
        The files, sorted, and of all others how many there are of each suffix.

    Raises:
        ValueError: If a folder cannot be read, or a link leads back to a folder that it lies in.
    """
    images: list[Path] = []
    others: Counter[str] = Counter()
    waiting: list[_Place] = [(folder, frozenset())]
    while waiting:
        folders, files = _entries(*waiting.pop())
        waiting += folders
        for file in files:
            if is_image(file):
                images.append(file)
            else:
                others[file.suffix.lower() or "no suffix"] += 1
    return sorted(images), others


def tell_passed_over(folder: Path, others: Counter[str]) -> None:
    """Logs, once in a process, how many files of which suffixes are no images to read."""
    if others:
        counts = ", ".join(f"{count} {suffix}" for suffix, count in sorted(others.items()))
        _tell(f"{folder}: passed over as no {KINDS} files: {counts}")


def folders_in(parent: Path) -> list[Path]:
    """The folders in ``parent``, hidden ones aside, sorted by name."""
    return sorted(
        (entry for entry in parent.iterdir() if entry.is_dir() and not entry.name.startswith(".")),
        key=lambda folder: folder.name,
    )


def _entries(folder: Path, above: frozenset[Identity]) -> tuple[list[_Place], list[Path]]:
    """The folders in a folder, each with the identities of those above it, and its files.

    Hidden names are left out, and what is neither file, folder nor link. No file's status is asked
    for, which takes long in folders of a million.
    """
    try:
        status = folder.stat()
        identity = (status.st_dev, status.st_ino)
        if identity in above:
            raise ValueError(
                f"{folder} is a link to a folder that it lies in, {folder.resolve()}: the images "
                "below it have no end. Remove the link"
            )
        with os.scandir(folder) as found:
            shown = [(entry, entry.is_dir()) for entry in found if entry.name[0] != "."]
    except OSError as error:
        raise ValueError(f"A folder of images cannot be read: {error}") from error
    folders = [(Path(entry.path), above | {identity}) for entry, is_folder in shown if is_folder]
    files = [
        Path(entry.path)
        for entry, is_folder in shown
        if not is_folder and (entry.is_symlink() or entry.is_file(follow_symlinks=False))
    ]
    return folders, files


@functools.cache
def _tell(message: str) -> None:
    logging.warning("%s", message)


DEFAULT_TEST_FRACTION = 0.2
UNLABELLED = "image"
"""The only class of images that have no labels."""

_TRAIN = "train"
_SPLIT_LIKE = ("test", "testing", "training", "val", "valid", "validation")


@dataclass(frozen=True)
class ImageList:
    """The files of a split, in the order of the data set.

    Attributes:
        paths: The files.
        labels: The class of each, a position in ``class_names``.
        class_names: The class folders of the training split, sorted by name.
    """

    paths: tuple[Path, ...]
    labels: tuple[int, ...]
    class_names: tuple[str, ...]

    def without(self, bad: Iterable[Path]) -> "ImageList":
        """The same list less some files."""
        bad = set(bad)
        kept = [(p, y) for p, y in zip(self.paths, self.labels, strict=True) if p not in bad]
        return replace(self, paths=tuple(p for p, _ in kept), labels=tuple(y for _, y in kept))


def list_images(
    data_dir: str | os.PathLike, split: str, test_fraction: float | None, seed: int
) -> ImageList:
    """Lists a split's files without opening them.

    Every file has a random number, a hash of the seed and its path below ``data_dir``. Files are
    ordered by it, and where there are no split folders those whose number is below
    ``test_fraction`` are the test files. So neither depends on the file system's order, a new file
    moves no other, and the test files are about, not exactly, that part of all.

    Args:
        data_dir: The data set's folder.
        split: Name of the split.
        test_fraction: Expected part that becomes ``"test"`` where there are no split folders.
        seed: Of the order and of the fraction.

    Returns:
        The ``ImageList``.

    Raises:
        ValueError: If there is no such folder or split, a class folder holds no image, a class is
            not one of the training split's, ``test_fraction`` is given beside split folders, or no
            file falls into the split.
    """
    root = _existing_folder(data_dir)
    splits = [folder.name for folder in folders_in(root)] if _has_split_folders(root) else []
    if splits:
        _refuse_fraction(test_fraction, root)
        by_class = files_by_class(root / one_of("split", split, splits))
        class_names = tuple(folder.name for folder in folders_in(root / _TRAIN))
    else:
        one_of("split", split, (_TRAIN, "test"))
        _refuse_split_like(root)
        by_class = files_by_class(root)
        class_names = tuple(by_class)
    _check_classes(by_class, class_names, root, split)
    if not splits:
        fraction = DEFAULT_TEST_FRACTION if test_fraction is None else test_fraction
        by_class = {
            name: part_of(files, root, split, fraction, seed) for name, files in by_class.items()
        }
        _check_parts(by_class, root, split, fraction, seed)
    return _merged(by_class, class_names, root, seed)


def split_names(data_dir: str | os.PathLike) -> list[str]:
    """The names that ``list_images`` takes for a split of ``data_dir``.

    Raises:
        ValueError: If there is no such folder.
    """
    root = _existing_folder(data_dir)
    return [f.name for f in folders_in(root)] if _has_split_folders(root) else [_TRAIN, "test"]


def list_unlabelled(data_dir: str | os.PathLike, seed: int) -> ImageList:
    """Lists all image files of a folder and those below it, as one class, in a random order.

    As in ``list_images``, the order follows from the seed and the files' paths alone.

    Args:
        data_dir: The folder.
        seed: Of the order.

    Raises:
        ValueError: If there is no such folder, or no image in it.
    """
    root = _existing_folder(data_dir)
    files = sorted(images_below(root), key=lambda file: _rank(file, root, seed))
    if not files:
        raise ValueError(
            f"`data_dir` must be a folder with {KINDS} files. "
            f"Received: data_dir={str(root)!r}, where no image was found"
        )
    return ImageList(tuple(files), (0,) * len(files), (UNLABELLED,))


def part_of(
    files: Iterable[Path], root: Path, split: str, fraction: float, seed: int
) -> list[Path]:
    """The files of ``"test"``, with numbers below ``fraction``, or of ``"train"``, all others."""
    test = split == "test"
    return [file for file in files if (_number(file, root, seed) < fraction) == test]


def refuse_lost_classes(images: ImageList, expected: ImageList, where: str) -> None:
    """Raises ``ValueError`` if a class of ``expected`` has no file left in ``images``."""
    lost = sorted(set(expected.labels) - set(images.labels))
    if lost:
        names = ", ".join(expected.class_names[label] for label in lost)
        raise ValueError(f"{where} has classes whose files are all corrupt: {names}")


def _existing_folder(data_dir: str | os.PathLike) -> Path:
    root = checks.path("data_dir", data_dir)
    if not root.is_dir():
        raise ValueError(
            f"`data_dir` must be a folder that exists. Received: data_dir={str(root)!r}"
        )
    return root


def _has_split_folders(root: Path) -> bool:
    train = root / _TRAIN
    return train.is_dir() and bool(folders_in(train))


def files_by_class(parent: Path) -> dict[str, list[Path]]:
    """The image files of each class folder in ``parent``; classes in the order of their names."""
    stray = [entry for entry in parent.iterdir() if is_image(entry) and not entry.is_dir()]
    if stray:
        logging.warning("%d images lie in %s outside any class folder: ignored", len(stray), parent)
    found = {folder.name: find_images(folder) for folder in folders_in(parent)}
    tell_passed_over(parent, sum((others for _, others in found.values()), Counter()))
    return {name: files for name, (files, _) in found.items()}


def _refuse_fraction(test_fraction: float | None, root: Path) -> None:
    if test_fraction is not None:
        raise ValueError(
            f"`test_fraction` must be left out where there are split folders, as in {root}. "
            f"Received: test_fraction={test_fraction}"
        )


def _refuse_split_like(root: Path) -> None:
    """A folder ``test`` beside no ``train`` is a slip, not a class."""
    odd = [
        folder.name
        for folder in folders_in(root)
        if folder.name.lower() in (_TRAIN, *_SPLIT_LIKE) and folders_in(folder)
    ]
    if odd:
        raise ValueError(
            f"`data_dir` must have its training images in a split folder named 'train' with one "
            f"folder for each class, if it has split folders such as {', '.join(odd)}. "
            f"Received: data_dir={str(root)!r}"
        )


def _check_classes(
    by_class: dict[str, list[Path]], class_names: tuple[str, ...], root: Path, split: str
) -> None:
    received = f"Received: data_dir={str(root)!r}, split={split!r}"
    if not any(by_class.values()):
        raise ValueError(
            f"`data_dir` must have class folders with {KINDS} files, and no image was found. "
            + received
        )
    empty = [name for name, files in by_class.items() if not files]
    if empty:
        raise ValueError(f"Class folders without any image: {', '.join(empty)}. {received}")
    unknown = [name for name in by_class if name not in class_names]
    if unknown:
        raise ValueError(
            f"Classes that the training split does not have: {', '.join(unknown)}. {received}"
        )
    missing = [name for name in class_names if name not in by_class]
    if missing:
        logging.warning("The split %r has no folder for: %s", split, ", ".join(missing))


def _check_parts(
    by_class: dict[str, list[Path]], root: Path, split: str, fraction: float, seed: int
) -> None:
    """Tells of classes of which no file fell into a split, and refuses a split without any."""
    empty = [name for name, files in by_class.items() if not files]
    if len(empty) == len(by_class):
        raise ValueError(
            f"No file of {root} falls into the split {split!r} with test_fraction={fraction} and "
            f"seed={seed}: it has too few. Another seed or fraction, or split folders 'train' and "
            "'test', help"
        )
    if empty:
        logging.warning("The split %r of %s has no file of: %s", split, root, ", ".join(empty))


def _rank(path: Path, root: Path, seed: int) -> bytes:
    """A hash of the file's name below ``root``, the same for all ways to encode an accent."""
    name = unicodedata.normalize("NFC", path.relative_to(root).as_posix())
    return hashlib.blake2b(f"{seed}/{name}".encode(errors="surrogateescape")).digest()


def _number(path: Path, root: Path, seed: int) -> float:
    """A number in [0, 1) that follows from the seed and the file's name alone."""
    return int.from_bytes(_rank(path, root, seed)[:8], "big") / 2**64


def _merged(
    by_class: dict[str, list[Path]], class_names: tuple[str, ...], root: Path, seed: int
) -> ImageList:
    pairs = [(path, name) for name, files in by_class.items() for path in files]
    pairs.sort(key=lambda pair: _rank(pair[0], root, seed))
    label = {name: position for position, name in enumerate(class_names)}
    return ImageList(
        paths=tuple(path for path, _ in pairs),
        labels=tuple(label[name] for _, name in pairs),
        class_names=class_names,
    )
