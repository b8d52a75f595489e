"""What happens during a run: rows, pictures and weights at evaluations, and exact checkpoints."""

import math
import shutil
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import keras
from keras.optimizers.schedules import LearningRateSchedule

from srm_keras.files import write_atomically, write_csv
from srm_keras.training import run_folder
from srm_keras.training.checkpoints import Checkpoint
from srm_keras.training.curves import plot_run
from srm_keras.training.events import EventLog
from srm_keras.training.state import TrainingState, not_finite
from srm_keras.training.stopping import Interrupted, StopRequest

MEASURED = ("loss", "accuracy", "val_loss", "val_accuracy")

TIMES = ("epoch", "step", "seconds", "images_per_second")

Row = dict[str, float]


class RunLog(keras.callbacks.Callback):
    """Rewrites `metrics.csv`, `timing.csv`, `curves.png` and TensorBoard's events every epoch.

    `metrics.csv` and `curves.png` hold nothing that differs between a run that was killed and one
    that was not; times are in `timing.csv`. `lr` is the rate of the epoch's last update.

    Args:
        folder: The run folder, or None where another worker writes it.
        steps_per_epoch: Updates between two evaluations.
        batch_size: Images an update.
        schedule: The learning rate of every update.
        title: Of the picture.
    """

    def __init__(
        self,
        folder: Path | None,
        steps_per_epoch: int,
        batch_size: int,
        schedule: LearningRateSchedule,
        title: str,
    ):
        super().__init__()
        self.folder = folder
        self.steps_per_epoch = steps_per_epoch
        self.batch_size = batch_size
        self.schedule = schedule
        self.title = title
        self.rows: list[Row] = []
        self.timing: list[Row] = []
        self._events: EventLog | None = None
        self._began = time.monotonic()

    @property
    def seconds(self) -> float:
        """Time spent on the run up to its last evaluation, in all its processes."""
        return self.timing[-1]["seconds"] if self.timing else 0.0

    def progress(self) -> dict[str, Any]:
        """What a checkpoint keeps of the log."""
        return {"rows": self.rows, "timing": self.timing}

    def begin(self, progress: dict[str, Any] | None) -> None:
        """Starts the log, or goes on from what a checkpoint kept; later rows are dropped."""
        if progress is not None:
            self.rows, self.timing = list(progress["rows"]), list(progress["timing"])
        self._began = time.monotonic() - self.seconds
        if self.folder is not None:
            self._events = EventLog(self.folder / run_folder.EVENTS, self.rows)
            self._write_tables(self.folder)

    def on_epoch_end(self, epoch, logs=None):
        """Adds the row."""
        step = (epoch + 1) * self.steps_per_epoch
        row = {
            "epoch": epoch + 1,
            "step": step,
            "lr": _digits(self.schedule(step - 1)),
            **{name: _digits(logs[name]) for name in MEASURED},
        }
        self._add_timing(row)
        self.rows.append(row)
        if self.folder is not None and self._events is not None:
            self._write_tables(self.folder)
            plot_run(self.rows, self.folder / run_folder.CURVES, self.title)
            self._events.add(row)

    def _write_tables(self, folder: Path) -> None:
        write_csv(folder / run_folder.METRICS, self.rows, ("epoch", "step", "lr", *MEASURED))
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


class SavedWeights(keras.callbacks.Callback):
    """Saves `last.keras` after every epoch and `best.keras` when `val_accuracy` is the highest yet.

    The files are written to a temporary name and renamed, so a kill leaves the earlier one.

    Args:
        model: The model to save; it may share its layers with the one that is trained.
        folder: The run folder.
        log: The `RunLog`, which comes before this in the list of callbacks.
        evaluated: A context in which the model has the weights that were evaluated.
    """

    def __init__(
        self,
        model: keras.Model,
        folder: Path,
        log: RunLog,
        evaluated: Callable[[], AbstractContextManager],
    ):
        super().__init__()
        self.saved_model = model
        self.folder = folder
        self.log = log
        self.evaluated = evaluated

    def on_epoch_end(self, epoch, logs=None):
        """Writes the files."""
        last, best = (self.folder / name for name in (run_folder.LAST, run_folder.BEST))
        with self.evaluated():
            write_atomically(last, self.saved_model.save)
        *earlier, accuracy = (row["val_accuracy"] for row in self.log.rows)
        if accuracy > max(earlier, default=-math.inf):
            write_atomically(best, lambda temporary: shutil.copyfile(last, temporary))


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


class StateKeeper(keras.callbacks.Callback):
    """Restores the training state, saves it, and stops the run when it must stop.

    The last in the list of callbacks: what it saves includes what the others did.

    Args:
        state: The training state.
        steps_per_epoch: Updates between two evaluations.
        every: Updates between two checkpoints; 0: only at evaluations.
        save: Called with a `Checkpoint`; None where another worker saves.
        progress: What to keep beside the arrays.
        stop: Whether the run shall stop, and the signal that asked for it.
        any_worker: Whether a flag is set on any worker.
        resumed: The checkpoint to go on from, or None.
    """

    def __init__(
        self,
        state: TrainingState,
        steps_per_epoch: int,
        every: int,
        save: Callable[[Checkpoint], None] | None,
        progress: Callable[[], dict[str, Any]],
        stop: StopRequest,
        any_worker: Callable[[bool], bool],
        resumed: Checkpoint | None,
    ):
        super().__init__()
        self.state = state
        self.steps_per_epoch = steps_per_epoch
        self.every = every
        self.save = save
        self.progress = progress
        self.stop = stop
        self.any_worker = any_worker
        self.resumed = resumed
        self.step = self._epoch_began = 0 if resumed is None else resumed.step

    def on_epoch_begin(self, epoch, logs=None):
        """Puts the state back, once: `fit` has built all variables and reset the metrics."""
        self._epoch_began = self.step
        if self.resumed is None:
            return
        self._synchronized()
        self.state.write(self.resumed.arrays)
        if self.resumed.step % self.steps_per_epoch:
            self.state.write_metrics(self.resumed.arrays)
        self.resumed = None

    def on_train_batch_end(self, batch, logs=None):
        """Stops on a loss that is not finite; saves if it is time to, or the run shall stop."""
        self.step = self._epoch_began + batch + 1
        self._check_loss(logs["loss"])
        if self.step % self.steps_per_epoch == 0:
            return  # the evaluation comes first
        stopping = self.any_worker(self.stop.signal is not None)
        if stopping or (self.every and self.step % self.every == 0):
            self._save()
        if stopping:
            raise Interrupted(self.step, self.stop.signal)

    def on_epoch_end(self, epoch, logs=None):
        """Saves, and stops if the run was asked to during the evaluation."""
        self._save()
        if self.any_worker(self.stop.signal is not None):
            raise Interrupted(self.step, self.stop.signal)

    def _save(self) -> None:
        self._synchronized()
        arrays = self.state.read()
        if not_finite(arrays):
            raise FloatingPointError(
                f"Weights became infinite or NaN at or before step {self.step}. {_ADVICE}"
            )
        if self.save is not None:
            self.save(Checkpoint(self.step, self.progress(), arrays))

    def _check_loss(self, loss: Any) -> None:
        if not math.isfinite(float(loss)):
            raise FloatingPointError(
                f"The loss became {float(loss)} at step {self.step}. {_ADVICE}"
            )

    def _synchronized(self) -> keras.Model:
        """The model; asking for it makes Keras write JAX's state back to the variables."""
        return self.model


_ADVICE = (
    "The last finite checkpoint is kept; a smaller `learning_rate.base`, a longer warm-up or "
    "`optimizer.clip_norm` may help."
)


def _digits(value) -> float:
    """The seven digits that a float32 holds."""
    return float(f"{float(value):.7g}")
