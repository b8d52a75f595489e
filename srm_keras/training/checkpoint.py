"""Exact checkpoints: all that the next update depends on, and its files."""

import io
import json
import os
import re
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
from absl import logging

from srm_keras.data import fingerprint
from srm_keras.support.files import as_json, write_atomically
from srm_keras.training.distribution import Distribution, assign_local, local_values
from srm_keras.training.inputs import Examples
from srm_keras.training.recipe import differing

Arrays = dict[str, np.ndarray]


class TrainingState:
    """The variables of a compiled model: weights, random seeds, optimizer and metrics.

    The arrays are named ``group/index/replica``. A variable whose replicas agree, which most do,
    gives one array; the moving averages of a batch norm that is not synchronized, and metrics,
    give one a replica.

    Args:
        learner: The compiled model, its optimizer built.
        metrics: The metrics it was compiled with. (``learner.metrics`` lists them only once they
            have seen a batch.)
        distribution: What it is trained on. All workers hold the same model and optimizer; the
            metrics are each worker's own.
    """

    def __init__(
        self,
        learner: keras.Model,
        metrics: Sequence[keras.metrics.Metric],
        distribution: Distribution,
    ):
        self._learner = learner
        self._metrics = metrics
        self._distribution = distribution

    def layout(self) -> list[list]:
        """Name and shape of every variable of the model and the optimizer, to tell states apart."""
        # Of variables without a name Keras counts how many there were in the process.
        return [
            [re.sub(r"variable_\d+", "variable", variable.name), list(variable.shape)]
            for group in ("model", "optimizer")
            for variable in self._variables(group)
        ]

    def read(self) -> Arrays:
        """Copies every variable to the host; all workers must ask at the same point."""
        arrays: Arrays = {}
        for group in ("model", "optimizer", "metrics"):
            for index, variable in enumerate(self._variables(group)):
                values = local_values(variable)
                if group == "metrics":
                    values = self._distribution.gather(values)
                for replica, value in enumerate(_distinct(values)):
                    arrays[f"{group}/{index}/{replica}"] = value
        return arrays

    def write(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Puts the model and the optimizer back as ``read`` found them."""
        for group in ("model", "optimizer"):
            self._write(group, arrays)

    def write_metrics(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Puts the running means back, within an epoch: ``fit`` resets them when one begins."""
        self._write("metrics", arrays)

    def _write(self, group: str, arrays: Mapping[str, np.ndarray]) -> None:
        for index, variable in enumerate(self._variables(group)):
            values = list(_replica_arrays(arrays, f"{group}/{index}"))
            if not values and group == "metrics":
                continue  # one that the version that began the run did not have
            if len(values) == 1:
                values *= len(local_values(variable))
            elif group == "metrics":
                values = self._distribution.local(values)
            assign_local(variable, values)

    def _variables(self, group: str) -> Sequence[keras.Variable]:
        return {
            "model": self._learner.variables,
            "optimizer": self._learner.optimizer.variables,
            "metrics": self._metric_variables(),
        }[group]

    def _metric_variables(self) -> list[keras.Variable]:
        variables = list(self._learner.metrics_variables)
        variables += [v for metric in self._metrics for v in metric.variables]
        return list({id(variable): variable for variable in variables}.values())


def not_finite(arrays: Mapping[str, np.ndarray]) -> bool:
    """Whether a weight, a velocity or a running mean is NaN or infinite."""
    return not all(
        np.isfinite(array).all()
        for array in arrays.values()
        if np.issubdtype(array.dtype, np.floating)
    )


def _distinct(values: Sequence[np.ndarray]) -> Sequence[np.ndarray]:
    """The first value alone if the replicas agree to the bit."""
    first = values[0].tobytes()
    return values[:1] if all(value.tobytes() == first for value in values[1:]) else values


def _replica_arrays(arrays: Mapping[str, np.ndarray], prefix: str) -> Iterator[np.ndarray]:
    replica = 0
    while f"{prefix}/{replica}" in arrays:
        yield arrays[f"{prefix}/{replica}"]
        replica += 1


DATA = "data"


class Identity:
    """What a run depends on beside its weights: the recipe, the layout of its variables, its data.

    Fields of the recipe that change no result are no part of it, nor is where the data lie as long
    as they are known to be the same.

    Args:
        parts: Names and values, JSON; ``recipe`` is one of them, flat, by dotted paths.
        splits: The examples of every split.
        listing: The file with the names of the data's files, which the run was begun with.
    """

    def __init__(self, parts: Mapping[str, Any], splits: Mapping[str, Examples], listing: Path):
        found = {name: fingerprint.fingerprint(examples) for name, examples in splits.items()}
        self.value: dict[str, Any] = as_json({**parts, DATA: found})
        self._splits = splits
        self._listing = listing

    def difference(self, saved: Mapping[str, Any]) -> str:
        """What is not as in a saved identity, in a line; empty if nothing is."""
        known = DATA in saved
        if not known:
            logging.warning("The run was begun without a record of its data: taken to be the same")
        told = []
        for name, value in self.value.items():
            if name == "recipe":
                equal = not differing(saved.get(name, {}), value, known)
            else:
                equal = saved.get(name) == value or (name == DATA and not known)
            if not equal:
                told.append(self._data_of(saved) if name == DATA else f"its {name} differ")
        return "; ".join(told)

    def write_listing(self, anew: bool) -> None:
        """Writes the names of the data's files, to name those that change later."""
        if anew or not self._listing.is_file():
            fingerprint.write_listing(self._listing, self._splits)

    def _data_of(self, saved: Mapping[str, Any]) -> str:
        before = fingerprint.read_listing(self._listing)
        after = fingerprint.listed(self._splits) if before else {}
        return "data: " + fingerprint.differences(saved[DATA], self.value[DATA], before, after)


FORMAT = "srm-keras training state 1"
_META = "meta"
_NAME = re.compile(r"step_(\d{9,})\.npz")


@dataclass(frozen=True)
class Checkpoint:
    """What was saved after an update.

    Attributes:
        step: Number of updates done.
        progress: What the callbacks wanted kept; JSON.
        arrays: The training state, see ``TrainingState``.
    """

    step: int
    progress: dict[str, Any]
    arrays: dict[str, np.ndarray]


class CheckpointFolder:
    """The checkpoints of one run, ``step_000001000.npz`` and so on.

    ``save`` returns once the arrays are handed to a thread, which writes them under another name,
    flushes them to the disk and renames them; the next ``save`` or ``close`` raises what went
    wrong. A checkpoint is a NumPy ``.npz``, whose parts carry CRC-32 sums.

    Args:
        folder: Where the files go; made at the first ``save``.
        identity: What must be equal for a run to go on from a checkpoint.
        keep: How many of the newest stay.
        overwrite: Whether the command replaces a run: what would go on is then another one.
    """

    def __init__(self, folder: Path, identity: Identity, keep: int, overwrite: bool = False):
        self.folder = folder
        self.keep = keep
        self.hint = how_to_go_on(overwrite)
        self.identity = identity
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
        """Waits until all is on the disk; raises ``OSError`` if it could not be written."""
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
            "identity": self.identity.value,
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
        """Reads and verifies a file; ``ValueError`` says what is wrong with it."""
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
        difference = self.identity.difference(saved)
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


def how_to_go_on(overwrite: bool) -> str:
    """What to do about a run that was stopped: ``overwrite``, given again, would remove it."""
    return f"the same command{' without `overwrite`' if overwrite else ''} goes on"
