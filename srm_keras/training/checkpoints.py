"""Checkpoints for resuming: atomic, verified when they are read, kept a few deep."""

import io
import json
import os
import re
import zipfile
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from absl import logging

from srm_keras.files import write_atomically
from srm_keras.training.identity import Identity
from srm_keras.training.stopping import how_to_go_on

FORMAT = "srm-keras training state 1"
_META = "meta"
_NAME = re.compile(r"step_(\d{9,})\.npz")


@dataclass(frozen=True)
class Checkpoint:
    """What was saved after an update.

    Attributes:
        step: Number of updates done.
        progress: What the callbacks wanted kept; JSON.
        arrays: The training state, see `TrainingState`.
    """

    step: int
    progress: dict[str, Any]
    arrays: dict[str, np.ndarray]


class CheckpointFolder:
    """The checkpoints of one run, `step_000001000.npz` and so on.

    `save` returns once the arrays are handed to a thread, which writes them under another name,
    flushes them to the disk and renames them; the next `save` or `close` raises what went wrong.
    A checkpoint is a NumPy `.npz`, whose parts carry CRC-32 sums.

    Args:
        folder: Where the files go; made at the first `save`.
        identity: What must be equal for a run to go on from a checkpoint.
        keep: How many of the newest stay.
        overwrite: Whether the command replaces a run: what would go on is then another one.
    """

    def __init__(self, folder: Path, identity: Identity, keep: int, overwrite: bool = False):
        self.folder = folder
        self.keep = keep
        self.hint = how_to_go_on(overwrite)
        self._identity = identity
        self._thread = ThreadPoolExecutor(1, "checkpoints")
        self._writing: Future | None = None

    def save(self, checkpoint: Checkpoint) -> None:
        """Begins to write a checkpoint, after the one before it is on the disk.

        Raises:
            OSError: If the one before it could not be written (such as on a full disk).
        """
        self.flush()
        self._writing = self._thread.submit(self._write, checkpoint)

    def flush(self) -> None:
        """Waits until all is on the disk; raises `OSError` if it could not be written."""
        writing, self._writing = self._writing, None
        if writing is not None:
            writing.result()

    def close(self) -> None:
        """Flushes, and ends the thread."""
        try:
            self.flush()
        finally:
            self._thread.shutdown()

    def newest(self) -> Checkpoint | None:
        """The newest checkpoint that is whole and of this run; None if there is none at all.

        Others that are newer are named in a warning and passed over.

        Raises:
            ValueError: If there are checkpoints and none can be used; it says why for each.
        """
        problems: dict[str, str] = {}
        for path in reversed(self._paths()):
            try:
                found = self._read(path)
            except ValueError as error:
                problems[path.name] = str(error)
                continue
            for name, problem in problems.items():
                logging.warning("Checkpoint not used: %s %s", self.folder / name, problem)
            return found
        if problems:
            raise ValueError(
                f"No checkpoint in {self.folder} can be used; pass `overwrite` to begin again. "
                f"{_listed(problems)}"
            )
        return None

    def _write(self, checkpoint: Checkpoint) -> None:
        meta = {
            "format": FORMAT,
            "identity": self._identity.value,
            "step": checkpoint.step,
            "progress": checkpoint.progress,
            "arrays": sorted(checkpoint.arrays),
        }
        content = np.frombuffer(json.dumps(meta).encode(), "uint8")
        path = self.folder / f"step_{checkpoint.step:09d}.npz"

        def write(temporary: Path) -> None:
            with temporary.open("wb") as file:
                np.savez(file, **{_META: content, **checkpoint.arrays})  # type: ignore[arg-type]
                file.flush()
                os.fsync(file.fileno())

        try:
            write_atomically(path, write)
        except OSError as error:
            raise OSError(
                error.errno,
                f"The checkpoint {path} could not be written ({error.strerror}); the ones before "
                f"it are intact, and {self.hint} from them",
            ) from error
        for old in self._paths()[: -self.keep]:
            old.unlink(missing_ok=True)

    def _paths(self) -> list[Path]:
        """The checkpoints, oldest first."""
        found = [path for path in self.folder.glob("step_*.npz") if _NAME.fullmatch(path.name)]
        return sorted(found, key=lambda path: int(_NAME.fullmatch(path.name)[1]))  # type: ignore[index]

    def _read(self, path: Path) -> Checkpoint:
        """Reads and verifies a file; `ValueError` says what is wrong with it."""
        arrays = _read_arrays(path)
        try:
            meta = json.loads(arrays.pop(_META).tobytes())
            saved = dict(meta["identity"])
            checkpoint = Checkpoint(int(meta["step"]), dict(meta["progress"]), arrays)
            whole = meta["format"] == FORMAT and meta["arrays"] == sorted(arrays)
        except (KeyError, TypeError, ValueError):
            whole = False
        if not whole:
            raise ValueError("is no checkpoint of a training run")
        difference = self._identity.difference(saved)
        if difference:
            raise ValueError(f"belongs to another run: {difference}")
        return checkpoint


def _read_arrays(path: Path) -> dict[str, np.ndarray]:
    """Every array of the file, its check sums compared.

    NumPy alone compares no sum where a damaged header makes it read less than there is, and a
    damaged file can make it, and what it calls, raise anything.
    """
    try:
        content = io.BytesIO(path.read_bytes())
        with zipfile.ZipFile(content) as archive:
            damaged = archive.testzip()
        if damaged is not None:
            raise ValueError(f"the check sum of {damaged} is wrong")
        content.seek(0)
        with np.load(content, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except Exception as error:
        reason = str(error).split("\n")[0] or type(error).__name__
        raise ValueError(f"is truncated or damaged ({reason})") from error


def _listed(problems: Mapping[str, str]) -> str:
    """Each problem once, after the names of the files that have it."""
    names: dict[str, list[str]] = {}
    for name, problem in problems.items():
        names.setdefault(problem, []).append(name)
    return "; ".join(f"{', '.join(files)} {problem}" for problem, files in names.items())
