"""What a data set is, in a few bytes: to tell whether a run that goes on still has the same."""

import csv
import gzip
import hashlib
import io
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from srm_keras.data.examples import Examples
from srm_keras.data.sources.prepared import Records
from srm_keras.support.files import write_atomically

Row = tuple[str, ...]
"""A file: its name below the data set's folder, its size, and its class, domain and group."""

Listing = Mapping[str, Mapping[str, Row]]
"""For each split, its files by name."""

_COLUMNS = ("split", "name", "size", "class", "domain", "group")
_NAMED = 3
_CHUNK = 1000


def fingerprint(examples: Examples | Records) -> dict[str, Any]:
    """What tells a split from another one; JSON.

    Of files it is their names below the data set's folder, sizes, classes, domains and groups, in
    their order; their contents are not read, and it does not matter where the folder lies. Of
    TFDS's records it is the names and sizes of the files that hold them. Of images in memory it is
    their contents, and of drawn ones the version of what drew them instead. Which part of a whole
    was chosen (a fold) is in it.
    """
    digest = hashlib.blake2b(repr(examples.info.class_names).encode(errors="replace"))
    found: dict[str, Any] = {"examples": len(examples)}
    if isinstance(examples, Records):
        digest.update(repr((examples.builder.info.full_name, examples.tfds_split)).encode())
        digest.update(examples.positions.tobytes())
        _update(digest, files_of(examples))
    elif not examples.in_memory:
        _update(digest, files_of(examples))
    else:
        if examples.drawn_by is not None:
            found["drawn by"] = examples.drawn_by
        else:
            digest.update(repr(examples.images.shape).encode())  # type: ignore[union-attr]
            digest.update(np.ascontiguousarray(examples.images).data)
        digest.update(examples.labels.tobytes())
        _update(digest, zip(*_tags(examples), strict=True))
    return {**found, "digest": digest.hexdigest()[:32]}


def files_of(examples: Examples | Records) -> list[Row]:
    """The files of a split in their order; none where images are in memory."""
    if isinstance(examples, Records):
        paths = [Path(path) for path in examples.builder.info.splits[examples.tfds_split].filepaths]
        sizes = _sizes(paths)
        return [(p.name, str(n), "", "", "") for p, n in zip(paths, sizes, strict=True)]
    if isinstance(examples.images, np.ndarray):
        return []
    root = examples.root or os.path.commonpath([path.parent for path in examples.images])
    names = [Path(os.path.relpath(path, root)).as_posix() for path in examples.images]
    classes = [examples.info.class_names[label] for label in examples.labels]
    told = map(str, _sizes(examples.images))
    return list(zip(names, told, classes, *_tags(examples), strict=True))


def write_listing(path: Path, splits: Mapping[str, Examples | Records]) -> None:
    """Writes the files of all splits as a compressed CSV; nothing where there are none."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    rows = [(split, *row) for split, examples in splits.items() for row in files_of(examples)]
    if rows:
        writer.writerows([_COLUMNS, *rows])
        content = gzip.compress(text.getvalue().encode("utf-8", "surrogateescape"), mtime=0)
        write_atomically(path, lambda temporary: temporary.write_bytes(content))


def read_listing(path: Path) -> dict[str, dict[str, Row]]:
    """What ``write_listing`` wrote; nothing where the file is missing or damaged."""
    found: dict[str, dict[str, Row]] = {}
    try:
        text = gzip.decompress(path.read_bytes()).decode("utf-8", "surrogateescape")
        for split, name, *rest in list(csv.reader(io.StringIO(text)))[1:]:
            found.setdefault(split, {})[name] = (name, *rest)
    except Exception:  # it only makes a message clearer
        return {}
    return found


def listed(splits: Mapping[str, Examples | Records]) -> dict[str, dict[str, Row]]:
    """The same of the data as they are now."""
    return {name: {row[0]: row for row in files_of(each)} for name, each in splits.items()}


def differences(
    saved: Mapping[str, Any], now: Mapping[str, Any], before: Listing, after: Listing
) -> str:
    """What changed from one mapping of fingerprints by split to another, in a line.

    Args:
        saved: The fingerprint of every split then.
        now: The same now.
        before: The files then; may lack splits.
        after: The files now.
    """
    told: list[str] = []
    for split in dict.fromkeys((*saved, *now)):
        if saved.get(split) != now.get(split):
            told += _changes(split, before.get(split, {}), after.get(split, {})) or [
                _change_of_kind(split, saved.get(split) or {}, now.get(split) or {})
            ]
    return "; ".join(told)


def _changes(split: str, before: Mapping[str, Row], after: Mapping[str, Row]) -> list[str]:
    """What changed in the files of a split; nothing where they are not known."""
    if not before or not after:
        return []
    both = [name for name in after if name in before]
    sized = [name for name in both if before[name][1] != after[name][1]]
    changed = {
        f"added to {split}": [name for name in after if name not in before],
        f"removed from {split}": [name for name in before if name not in after],
        f"of {split} with another size": sized,
    }
    for kind, column in (("class", 2), ("domain", 3), ("group", 4)):
        others = [name for name in both if before[name][column] != after[name][column]]
        changed[f"of {split} with another {kind}"] = others
    told = [_counted(names, what) for what, names in changed.items() if names]
    return told or [f"the files of {split} come in another order or choice"]


def _counted(names: Sequence[str], what: str) -> str:
    shown = ", ".join([*names[:_NAMED], *(["…"] if len(names) > _NAMED else [])])
    return f"{len(names):,} {'file' if len(names) == 1 else 'files'} {what} ({shown})"


def _change_of_kind(split: str, saved: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    for name, words in (("drawn by", "drawn by"), ("examples", "of a number of")):
        if saved.get(name) != now.get(name):
            return f"the images of {split} were {words} {saved.get(name)}, now {now.get(name)}"
    return f"the images or labels of {split} are others ({now.get('examples')} examples)"


def _tags(examples: Examples) -> Iterator[Iterable[str]]:
    """Domain and group of every example, empty where there are none."""
    for values in (examples.domains, examples.groups):
        yield [""] * len(examples) if values is None else map(str, values)


def _update(digest: Any, rows: Iterable[Row]) -> None:
    for row in rows:
        digest.update("\0".join((*row, "\n")).encode("utf-8", "surrogateescape"))


def _sizes(paths: Sequence[Path]) -> list[int]:
    """In threads: on a network drive each question takes a while."""

    def of(start: int) -> list[int]:
        return [path.stat().st_size for path in paths[start : start + _CHUNK]]

    with ThreadPoolExecutor(16) as pool:
        parts = pool.map(of, range(0, len(paths), _CHUNK))
        return [size for part in parts for size in part]
