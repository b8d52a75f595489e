"""What is written while a network trains: tables, curves, events and weights."""

import contextlib
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import keras
import numpy as np
from absl import logging
from keras.optimizers.schedules import LearningRateSchedule
from ml_collections import config_dict

from srm_keras.support.figures import drawing
from srm_keras.support.files import write_csv
from srm_keras.training import run_folder
from srm_keras.training.by_path import ByPath
from srm_keras.training.distribution.replicas import assign_local, local_values, running_loss
from srm_keras.training.reports import plot_run


class EventLog:
    """Writes rows to an events folder, which begins anew with the rows of before.

    On other backends than TensorFlow, which writes the files, nothing is written; this is logged.

    Args:
        folder: For the events; what it held is removed.
        rows: The rows so far.
        measured: Which columns to write beside the learning rate; validation's begin in ``val_``.
    """

    def __init__(self, folder: Path, rows: Iterable[Mapping[str, float]], measured: Sequence[str]):
        self._tags = {"lr": "learning_rate"} | {name: _tag(name) for name in measured}
        self._writer = _begin(folder)
        for row in rows:
            self.add(row)

    def add(self, row: Mapping[str, float]) -> None:
        """Writes one row, at its step."""
        if self._writer is None:
            return
        import tensorflow as tf

        with self._writer.as_default(step=int(row["step"])):
            for name, tag in self._tags.items():
                tf.summary.scalar(tag, row[name])
        self._writer.flush()


def _tag(name: str) -> str:
    """``loss/training`` and ``loss/validation``, which TensorBoard draws side by side."""
    quantity = name.removeprefix("val_")
    return f"{quantity}/{'training' if quantity == name else 'validation'}"


class HistogramLog:
    """Writes histograms of gates to an events folder, which begins anew.

    On other backends than TensorFlow, which writes the files, nothing is written; this is logged.

    Args:
        folder: For the events; what it held is removed.
    """

    def __init__(self, folder: Path):
        self._writer = _begin(folder)

    def add(self, step: int, counts: Mapping[str, np.ndarray]) -> None:
        """Writes the gates of every layer, ``(bins,)`` counts in equal intervals of [0, 1].

        TensorBoard takes values and counts them itself: it gets about a thousand, each the middle
        of its interval.
        """
        if self._writer is None:
            return
        import tensorflow as tf

        with self._writer.as_default(step=step):
            for layer, count in counts.items():
                middles = (np.arange(len(count)) + 0.5) / len(count)
                values = np.repeat(middles, np.rint(1000 * count / count.sum()).astype("int64"))
                tf.summary.histogram(f"gates/{layer}", values, buckets=len(count))
        self._writer.flush()


def _begin(folder: Path) -> Any | None:
    """A writer into an empty folder; None where there can be none."""
    if keras.config.backend() != "tensorflow":
        logging.log_first_n(
            logging.INFO, "TensorBoard events need the TensorFlow backend: none are written", 1
        )
        return None
    import tensorflow as tf

    shutil.rmtree(folder, ignore_errors=True)
    return tf.summary.create_file_writer(str(folder))


TIMES = ("epoch", "step", "seconds", "images_per_second")

Row = dict[str, float]


class RunLog(keras.callbacks.Callback):
    """Rewrites ``metrics.csv``, ``timing.csv``, ``curves.png`` and events every epoch.

    ``metrics.csv`` and ``curves.png`` hold nothing that differs between a run that was killed and
    one that was not; times are in ``timing.csv``. ``lr`` is the rate of the epoch's last update.

    Args:
        folder: The run folder, or None where another worker writes it.
        recipe: With ``eval_every``, the updates between two evaluations, and ``batch_size``.
        schedule: The learning rate of every update.
        title: Of the picture.
        quantities: What is measured, in training and in validation.
        scale: Of the picture's vertical axes, ``"linear"`` or ``"log"``.
        more: Columns that are recorded and not drawn, by their names in the logs.
    """

    def __init__(
        self,
        folder: Path | None,
        recipe: config_dict.ConfigDict,
        schedule: LearningRateSchedule,
        title: str,
        quantities: Sequence[str] = ("loss", "accuracy"),
        scale: str = "linear",
        more: Sequence[str] = (),
    ):
        super().__init__()
        self.folder = folder
        self.steps_per_epoch = recipe.eval_every
        self.batch_size = recipe.batch_size
        self.schedule = schedule
        self.title = title
        self.quantities = tuple(quantities)
        self.scale = scale
        self.measured = (*quantities, *(f"val_{name}" for name in quantities), *more)
        self.rows: list[Row] = []
        self.timing: list[Row] = []
        self._events: EventLog | None = None
        self._began = time.monotonic()

    @property
    def seconds(self) -> float:
        """Time spent on the run up to its last evaluation, in all its processes."""
        return self.timing[-1]["seconds"] if self.timing else 0.0

    def progress(self) -> dict[str, Any]:
        """What a checkpoint keeps of the log: copies, as it is written while the log grows."""
        spent = time.monotonic() - self._began
        return {"rows": list(self.rows), "timing": list(self.timing), "seconds": spent}

    def begin(self, progress: dict[str, Any] | None) -> None:
        """Starts the log, or goes on from what a checkpoint kept; later rows are dropped."""
        spent = 0.0
        if progress is not None:
            self.rows, self.timing = list(progress["rows"]), list(progress["timing"])
            spent = progress["seconds"]
        # A run that an earlier version began keeps the columns that it began with.
        self.measured = tuple(
            name for name in self.measured if all(name in row for row in self.rows)
        )
        self._began = time.monotonic() - spent
        if self.folder is not None:
            self._events = EventLog(self.folder / run_folder.EVENTS, self.rows, self.measured)
            self._write_tables(self.folder)

    def on_epoch_end(self, epoch, logs=None):
        """Adds the row."""
        step = (epoch + 1) * self.steps_per_epoch
        row = {
            "epoch": epoch + 1,
            "step": step,
            "lr": _digits(self.schedule(step - 1)),
            **{name: _digits(logs[name]) for name in self.measured},
        }
        self._add_timing(row)
        self.rows.append(row)
        if self.folder is not None and self._events is not None:
            self._write_tables(self.folder)
            with drawing(run_folder.CURVES):
                plot_run(
                    self.rows,
                    self.folder / run_folder.CURVES,
                    self.title,
                    self.quantities,
                    self.scale,
                )
            self._events.add(row)

    def _write_tables(self, folder: Path) -> None:
        write_csv(folder / run_folder.METRICS, self.rows, ("epoch", "step", "lr", *self.measured))
        write_csv(folder / run_folder.TIMING, self.timing, TIMES)

    def _add_timing(self, row: Row) -> None:
        seconds = time.monotonic() - self._began
        images = self.steps_per_epoch * self.batch_size
        self.timing.append(
            {
                "epoch": row["epoch"],
                "step": row["step"],
                "seconds": round(seconds, 2),
                "images_per_second": round(images / (seconds - self.seconds), 1),
            }
        )


class Progress(keras.callbacks.Callback):
    """Tells stderr every so often how far a training has come, within an epoch too.

    For where no progress bar can be drawn: output that goes to a file or another program.

    Args:
        recipe: With ``steps``, ``eval_every`` and ``batch_size``.
        step: Updates that are done already.
    """

    SECONDS = 20.0

    def __init__(self, recipe: config_dict.ConfigDict, step: int):
        super().__init__()
        self.steps = recipe.steps
        self.eval_every = recipe.eval_every
        self.batch_size = recipe.batch_size
        self.step = self._epoch_began = self._told = step
        self._told_at = time.monotonic()

    def on_epoch_begin(self, epoch, logs=None):
        """Counts from here: evaluations are no part of the pace."""
        self.step = self._epoch_began = self._told = max(self.step, epoch * self.eval_every)
        self._told_at = time.monotonic()

    def on_train_batch_begin(self, batch, logs=None):
        """Prints a line if it is time to; only then it reads the loss."""
        self.step = self._epoch_began + batch
        spent = time.monotonic() - self._told_at
        if spent < self.SECONDS or self.step == self._told:
            return
        pace = (self.step - self._told) / spent
        print(
            f"step {self.step:,} of {self.steps:,}: loss {running_loss(self.model):.4f}, "
            f"{pace * self.batch_size:.1f} images/s, "
            f"{_duration((self.steps - self.step) / pace)} left",
            file=sys.stderr,
            flush=True,
        )
        self._told, self._told_at = self.step, time.monotonic()


def _duration(seconds: float) -> str:
    """``"40 s"``, ``"12 min"`` or ``"3.5 h"``."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def _digits(value) -> float:
    """The seven digits that a float32 holds."""
    return float(f"{float(value):.7g}")


class EvaluatedWeights(keras.callbacks.Callback):
    """Puts the weights that are to be evaluated in place during every evaluation.

    Args:
        evaluated: A context in which the model has them.
    """

    def __init__(self, evaluated: Callable[[], AbstractContextManager]):
        super().__init__()
        self.evaluated = evaluated
        self._context: AbstractContextManager | None = None

    def on_test_begin(self, logs=None):
        """Puts them in place."""
        self._context = self.evaluated()
        self._context.__enter__()

    def on_test_end(self, logs=None):
        """Puts the trained ones back."""
        if self._context is not None:
            self._context.__exit__(None, None, None)
            self._context = None


@contextlib.contextmanager
def averaged_weights(learner: keras.Model, optimizer: ByPath) -> Iterator[None]:
    """A context in which ``learner`` has the averages that ``optimizer`` keeps, if it keeps any.

    Afterwards the weights are to the bit what they were. Moving statistics of batch norm are
    averages already and stay.

    Args:
        learner: The model that ``optimizer`` trains.
        optimizer: Built; where its ``ema_decay`` is 0, nothing happens.
    """
    weights = learner.trainable_variables if optimizer.averages else []
    trained = [local_values(weight) for weight in weights]
    for weight, average in zip(weights, optimizer.averages, strict=True):
        assign_local(weight, local_values(average))
    try:
        yield
    finally:
        for weight, values in zip(weights, trained, strict=True):
            assign_local(weight, values)
