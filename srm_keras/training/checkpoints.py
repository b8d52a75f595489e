"""Checkpoints for resuming: atomic, verified when they are read, kept a few deep."""

import contextlib
import io
import json
import os
import re
import zipfile
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from absl import logging

from srm_keras.files import write_atomically

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
        identity: What must be equal for a run to go on from a checkpoint (its recipe, the layout
            of its variables); JSON.
        keep: How many of the newest stay.
    """

    def __init__(self, folder: Path, identity: Any, keep: int):
        self.folder = folder
        self.keep = keep
        self._identity = json.loads(json.dumps(identity))
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

        Others that are newer are named in a warning and passed over. Files that a killed run left
        half written are removed.

        Raises:
            ValueError: If there are checkpoints and none can be used; it says why for each.
        """
        for leftover in self.folder.glob(".step_*.npz"):
            leftover.unlink()
        problems = []
        for path in reversed(self._paths()):
            try:
                return self._read(path)
            except ValueError as error:
                logging.warning("Checkpoint not used: %s", error)
                problems.append(str(error))
        if problems:
            raise ValueError(
                f"No checkpoint in {self.folder} can be used; pass `overwrite` to begin again. "
                f"{'; '.join(problems)}"
            )
        return None

    def _write(self, checkpoint: Checkpoint) -> None:
        meta = {
            "format": FORMAT,
            "identity": self._identity,
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

        with _disk_errors(path):
            write_atomically(path, write)
        for old in self._paths()[: -self.keep]:
            old.unlink()

    def _paths(self) -> list[Path]:
        """The checkpoints, oldest first."""
        found = [path for path in self.folder.glob("step_*.npz") if _NAME.fullmatch(path.name)]
        return sorted(found, key=lambda path: int(_NAME.fullmatch(path.name)[1]))  # type: ignore[index]

    def _read(self, path: Path) -> Checkpoint:
        """Reads and verifies a file; `ValueError` says what is wrong with it."""
        arrays = _read_arrays(path)
        try:
            meta = json.loads(arrays.pop(_META).tobytes())
            whole = meta["format"] == FORMAT and meta["arrays"] == sorted(arrays)
        except (KeyError, TypeError, ValueError):
            whole = False
        if not whole:
            raise ValueError(f"{path} is no checkpoint of a training run")
        _check_identity(path, meta["identity"], self._identity)
        return Checkpoint(meta["step"], meta["progress"], arrays)


@contextlib.contextmanager
def _disk_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise OSError(
            error.errno,
            f"The checkpoint {path} could not be written ({error.strerror}); the ones before it "
            "are intact, and the same command goes on from them",
        ) from error


def _read_arrays(path: Path) -> dict[str, np.ndarray]:
    """Every array of the file; reading them compares their check sums."""
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except (OSError, EOFError, ValueError, TypeError, AttributeError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path} is truncated or damaged ({error})") from error


def _check_identity(path: Path, saved: Any, expected: Mapping[str, Any]) -> None:
    if saved == expected:
        return
    differing = [
        name
        for name in expected
        if not isinstance(saved, Mapping) or saved.get(name) != expected[name]
    ]
    raise ValueError(f"{path} belongs to another run: its {' and '.join(differing)} differ")
