"""What happens at every evaluation: a row, a picture, and the checkpoints."""

import math
import shutil
import time
from collections.abc import Iterable
from pathlib import Path

import keras
from keras.optimizers.schedules import LearningRateSchedule

from srm_keras.files import write_atomically
from srm_keras.training import run_folder
from srm_keras.training.curves import plot_run

MEASURED = ("loss", "accuracy", "val_loss", "val_accuracy")
COLUMNS = ("epoch", "step", "lr", *MEASURED, "seconds")


class RunLog(keras.callbacks.Callback):
    """Appends a row to `metrics.csv` and redraws `curves.png` after every epoch.

    `rows` holds what was written, as numbers. `lr` is the rate of the epoch's last update;
    `seconds` counts from the start of the run.

    Raises:
        FloatingPointError: At the end of an epoch whose loss is not finite.
    """

    def __init__(
        self, folder: Path, steps_per_epoch: int, schedule: LearningRateSchedule, title: str
    ):
        super().__init__()
        self.folder = folder
        self.steps_per_epoch = steps_per_epoch
        self.schedule = schedule
        self.title = title
        self.rows: list[dict[str, float]] = []

    def on_train_begin(self, logs=None):
        """Writes the header."""
        self.started = time.monotonic()
        self._append(COLUMNS)

    def on_epoch_end(self, epoch, logs=None):
        """Writes the row and the picture."""
        step = (epoch + 1) * self.steps_per_epoch
        row = {
            "epoch": epoch + 1,
            "step": step,
            "lr": _digits(self.schedule(step - 1)),
            **{name: _digits(logs[name]) for name in MEASURED},
            "seconds": round(time.monotonic() - self.started, 2),
        }
        self.rows.append(row)
        self._append(map(str, row.values()))
        plot_run(self.rows, self.folder / run_folder.CURVES, self.title)
        if not math.isfinite(row["loss"]):
            raise FloatingPointError(
                f"The loss became {row['loss']} at or before step {step}; "
                "a smaller `learning_rate.base` may help."
            )

    def _append(self, cells: Iterable[str]) -> None:
        """Writes one line, at once: a kill leaves it whole or leaves it out."""
        with (self.folder / run_folder.METRICS).open("a") as file:
            file.write(",".join(cells) + "\n")


class Checkpoints(keras.callbacks.Callback):
    """Saves `last.keras` after every epoch and `best.keras` when `val_accuracy` rises.

    The files are written to a temporary name and renamed, so a kill leaves the earlier one.

    Args:
        model: The model to save; it may share its layers with the one that is trained.
        folder: The run folder.
    """

    def __init__(self, model: keras.Model, folder: Path):
        super().__init__()
        self.saved_model = model
        self.folder = folder
        self.best_accuracy = -math.inf

    def on_epoch_end(self, epoch, logs=None):
        """Writes the checkpoints."""
        last, best = self.folder / run_folder.LAST, self.folder / run_folder.BEST
        write_atomically(last, self.saved_model.save)
        if logs["val_accuracy"] > self.best_accuracy:
            self.best_accuracy = logs["val_accuracy"]
            write_atomically(best, lambda temporary: shutil.copyfile(last, temporary))


def _digits(value) -> float:
    """The seven digits that a float32 holds."""
    return float(f"{float(value):.7g}")
