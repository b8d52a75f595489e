"""The rows of a run: tables, curves and events that grow at every evaluation."""

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
from keras.optimizers.schedules import LearningRateSchedule
from ml_collections import config_dict

from srm_keras.figures import drawing
from srm_keras.files import write_csv
from srm_keras.training import run_folder
from srm_keras.training.curves import plot_run
from srm_keras.training.events import EventLog

TIMES = ("epoch", "step", "seconds", "images_per_second")

Row = dict[str, float]


class RunLog(keras.callbacks.Callback):
    """Rewrites `metrics.csv`, `timing.csv`, `curves.png` and TensorBoard's events every epoch.

    `metrics.csv` and `curves.png` hold nothing that differs between a run that was killed and one
    that was not; times are in `timing.csv`. `lr` is the rate of the epoch's last update.

    Args:
        folder: The run folder, or None where another worker writes it.
        recipe: With `eval_every`, the updates between two evaluations, and `batch_size`.
        schedule: The learning rate of every update.
        title: Of the picture.
        quantities: What is measured, in training and in validation.
        scale: Of the picture's vertical axes, `"linear"` or `"log"`.
    """

    def __init__(
        self,
        folder: Path | None,
        recipe: config_dict.ConfigDict,
        schedule: LearningRateSchedule,
        title: str,
        quantities: Sequence[str] = ("loss", "accuracy"),
        scale: str = "linear",
    ):
        super().__init__()
        self.folder = folder
        self.steps_per_epoch = recipe.eval_every
        self.batch_size = recipe.batch_size
        self.schedule = schedule
        self.title = title
        self.quantities = tuple(quantities)
        self.scale = scale
        self.measured = (*quantities, *(f"val_{name}" for name in quantities))
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
        self._began = time.monotonic() - spent
        if self.folder is not None:
            self._events = EventLog(self.folder / run_folder.EVENTS, self.rows, self.quantities)
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
        recipe: With `steps` and `batch_size`.
        step: Updates that are done already.
    """

    SECONDS = 20.0

    def __init__(self, recipe: config_dict.ConfigDict, step: int):
        super().__init__()
        self.steps = recipe.steps
        self.batch_size = recipe.batch_size
        self.step = self._epoch_began = self._told = step
        self._told_at = time.monotonic()

    def on_epoch_begin(self, epoch, logs=None):
        """Counts from here: evaluations are no part of the pace."""
        self._epoch_began = self._told = self.step
        self._told_at = time.monotonic()

    def on_train_batch_end(self, batch, logs=None):
        """Prints a line if it is time to."""
        self.step = self._epoch_began + batch + 1
        spent = time.monotonic() - self._told_at
        if spent < self.SECONDS:
            return
        pace = (self.step - self._told) / spent
        print(
            f"step {self.step:,} of {self.steps:,}: loss {float(logs['loss']):.4f}, "
            f"{pace * self.batch_size:.1f} images/s, "
            f"{_duration((self.steps - self.step) / pace)} left",
            file=sys.stderr,
            flush=True,
        )
        self._told, self._told_at = self.step, time.monotonic()


def _duration(seconds: float) -> str:
    """`"40 s"`, `"12 min"` or `"3.5 h"`."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def _digits(value) -> float:
    """The seven digits that a float32 holds."""
    return float(f"{float(value):.7g}")
