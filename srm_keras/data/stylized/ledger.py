"""What has been done so far, by all workers, and what the images are called."""

import csv
import hashlib
import io
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path, PurePosixPath
from typing import Any

from srm_keras.data.examples import Examples
from srm_keras.data.sources.prepared import Records
from srm_keras.support.files import (
    as_json,
    folder_lock,
    in_utf8,
    read_csv,
    read_json,
    write_csv,
    write_json,
    write_text,
)

MANIFEST = "manifest.csv"
SKIPPED = "skipped.csv"
PARAMETERS = "stylized.json"
COLUMNS = ("split", "image", "style", "output")
SKIPPED_COLUMNS = ("kind", "name", "reason")

_FOLDER = ".shards"

Row = Mapping[str, str]


class Ledger:
    """The record of a stylized data set, in its folder.

    Every worker appends a line to a file of its own for each image that lies there whole, and at
    the end writes ``manifest.csv`` and ``skipped.csv`` from the files of all workers. So a manifest
    is complete when the last worker is done, and what was recorded is known after a kill.

    Args:
        out: The folder of the data set; made if it is not there.
        shard: Number of this worker...
        shards: ...of so many.
    """

    def __init__(self, out: Path, shard: int, shards: int) -> None:
        self.out = out
        self.folder = out / _FOLDER
        self.folder.mkdir(parents=True, exist_ok=True)
        self.worker = f"{shard}_of_{shards}"
        self._file = self.folder / f"{self.worker}.csv"
        self._skipped = self.folder / f"{self.worker}_skipped.csv"
        whole = _whole_lines(self._file) if self._file.exists() else ""
        write_text(self._file, whole or ",".join(COLUMNS) + "\n")
        self._outputs = {(row["split"], row["image"]): row["output"] for row in self._rows()}

    def is_done(self, split: str, image: str) -> bool:
        """Whether an image was recorded, by any worker of this run or an earlier one, and is there.

        What other workers record after this object was made is not seen.
        """
        output = self._outputs.get((split, in_utf8(image)))
        return output is not None and (self.out / output).is_file()

    def record(self, rows: Sequence[Row]) -> None:
        """Appends images whose files are there."""
        with self._file.open("a", encoding="utf-8", errors="backslashreplace", newline="") as file:
            csv.DictWriter(file, COLUMNS, lineterminator="\n").writerows(rows)

    def finish(self, skipped: Sequence[Row]) -> None:
        """Writes ``manifest.csv`` and ``skipped.csv`` of all workers.

        Args:
            skipped: What this worker could not read.
        """
        # A painting that was skipped shows only in what is painted anew.
        known = read_csv(self._skipped) if self._skipped.exists() else []
        kept = [row for row in known if row["kind"] == "painting"]
        write_csv(self._skipped, [*kept, *skipped], SKIPPED_COLUMNS)
        before, ended = None, self._ended()
        while ended != before:  # another worker may have ended while this one wrote
            self._merge()
            before, ended = ended, self._ended()

    def _merge(self) -> None:
        rows = {(row["split"], row["image"]): row for row in self._rows()}
        ordered = sorted(rows.values(), key=lambda row: row["output"])
        write_csv(self.out / MANIFEST, ordered, COLUMNS)
        made = {f"{split}/{image}" for split, image in rows}
        skipped = [
            row
            for row in self._skipped_rows()
            if row["kind"] == "painting" or row["name"] not in made
        ]
        write_csv(self.out / SKIPPED, skipped, SKIPPED_COLUMNS)

    def _rows(self) -> Iterator[Row]:
        for file in sorted(self.folder.glob("[0-9]*_of_*[0-9].csv")):
            yield from csv.DictReader(io.StringIO(_whole_lines(file)))

    def _skipped_files(self) -> list[Path]:
        return sorted(self.folder.glob("[0-9]*_skipped.csv"))

    def _skipped_rows(self) -> list[Row]:
        rows = {(r["kind"], r["name"]): r for file in self._skipped_files() for r in read_csv(file)}
        return [rows[key] for key in sorted(rows)]

    def _ended(self) -> list[tuple[str, int]]:
        """The workers that have ended, and when."""
        return [(file.name, file.stat().st_mtime_ns) for file in self._skipped_files()]


def shard_lock(out: Path, shard: int, shards: int) -> AbstractContextManager[None]:
    """A context in which no other call may be the same worker: see ``folder_lock``.

    What killed processes of this worker left half written is removed.

    Raises:
        ValueError: If another one is.
    """
    worker = f"{_FOLDER}/{shard}_of_{shards}"
    mine = (f"{worker}_*", f"{worker}.csv", f"{worker}_skipped.csv")
    of_all = (MANIFEST, SKIPPED, PARAMETERS) if shards == 1 else ()
    return folder_lock("out", out, (*mine, *of_all), f"{worker}.lock")


def check_parameters(out: Path, parameters: Mapping[str, Any], sources: Mapping[str, Any]) -> None:
    """Writes ``stylized.json``, or refuses a folder that was made in another way.

    Args:
        out: The folder of the data set.
        parameters: What all its images have in common.
        sources: For each split, what its images are made of; splits may be added later.

    Raises:
        ValueError: If the folder holds something else.
    """
    path = out / PARAMETERS
    try:
        found = read_json(path) if path.exists() else {**parameters, "splits": {}}
        known = {**found, "splits": dict(found["splits"])}
    except (ValueError, KeyError, TypeError):
        raise ValueError(
            f"`out` must not hold a {PARAMETERS} of another kind. Received: {path}"
        ) from None
    for name, value in as_json(parameters).items():
        _check_same(name, known.get(name), value, path)
    for split, value in as_json(sources).items():
        _check_same(
            f"source of the split {split!r}", known["splits"].get(split, value), value, path
        )
    merged = {**known, "splits": {**known["splits"], **sources}}
    if not path.exists() or merged != found:
        write_json(path, merged)


def _check_same(name: str, found: Any, value: Any, path: Path) -> None:
    if found != value:
        raise ValueError(
            f"`out` must be a new folder, or one that was made with the same {name}. "
            f"Received: {value!r}; {path} says {found!r}"
        )


def _whole_lines(file: Path) -> str:
    """The text of a file up to its last line break: a line after it is not, or never, finished."""
    with file.open(encoding="utf-8", newline="") as opened:
        text = opened.read()
    return text[: text.rfind("\n") + 1]


def image_names(examples: Examples | Records) -> list[str]:
    """A name for each image of a split, which does not depend on where the data set lies.

    Returns:
        The path of its file below the folder that all files of the split share, or where images
        are no files its position.
    """
    if isinstance(examples, Records) or examples.in_memory:
        width = max(len(str(len(examples) - 1)), 6)
        return [f"{position:0{width}d}" for position in range(len(examples))]
    root = os.path.commonpath([path.parent for path in examples.images])
    names = [path.relative_to(root).as_posix() for path in examples.images]
    for name in names:
        if name != name.encode(errors="replace").decode():
            raise ValueError(f"File names must be UTF-8. Received: {name!r} in {root}")
    return names


def class_folders(class_names: tuple[str, ...]) -> list[str]:
    """A folder name for each class, such that their alphabetical order is that of the labels.

    Class folders are numbered in the order of their names when they are read. So names in another
    order get their number in front.

    Raises:
        ValueError: If two classes would have the same folder.
    """
    folders = [name.replace("/", "_").replace(os.sep, "_").lstrip(".") for name in class_names]
    if folders != sorted(folders) or not all(folders):
        width = len(str(len(folders) - 1))
        folders = [f"{label:0{width}d}_{folder}" for label, folder in enumerate(folders)]
    same = [folder for folder, count in Counter(folders).items() if count > 1]
    if same:
        raise ValueError(f"Classes must have names of their own. Received: {same[0]!r} twice")
    return folders


def output_stems(examples: Examples | Records, names: list[str]) -> list[str]:
    """The file name, without suffix, of each image's copy in its class folder.

    It is the image's own, after the names of the folders that it lies in, the class' aside. Where
    two images of a class would have the same, each gets a part of a hash of its name.
    """
    if isinstance(examples, Records) or examples.in_memory:
        return names
    classes = [examples.info.class_names[label] for label in examples.labels]
    stems = [_stem(name, its_class) for name, its_class in zip(names, classes, strict=True)]
    counts = Counter(
        (its_class, stem.lower()) for its_class, stem in zip(classes, stems, strict=True)
    )
    return [
        stem if counts[its_class, stem.lower()] == 1 else f"{stem}_{_digest(name)}"
        for name, stem, its_class in zip(names, stems, classes, strict=True)
    ]


def _stem(name: str, class_name: str) -> str:
    folders = list(PurePosixPath(name).parent.parts)
    if class_name in folders:
        folders.remove(class_name)
    return "_".join([*folders, Path(name).stem])


def _digest(name: str) -> str:
    return hashlib.blake2b(name.encode(errors="surrogateescape"), digest_size=4).hexdigest()
