"""Which evaluation of a run is the best one, what is kept of it, and when a run stops early.

All of it follows from the rows of ``metrics.csv``, which are in every checkpoint: a run that was
killed chooses and stops as one that was not.
"""

import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
from ml_collections import config_dict

from srm_keras.support.files import write_atomically
from srm_keras.support.validation import nearest
from srm_keras.training import run_folder
from srm_keras.training.callbacks import RunLog
from srm_keras.training.distribution import Distribution
from srm_keras.training.recipe import FIELDS, is_highest_best

Row = Mapping[str, float]


@dataclass(frozen=True)
class Criterion:
    """What makes an evaluation better than another one.

    Attributes:
        metric: A column of ``metrics.csv``.
        highest: Whether the highest value is the best, or the lowest.
    """

    metric: str
    highest: bool

    @classmethod
    def of(cls, recipe: Mapping[str, Any] | config_dict.ConfigDict) -> "Criterion":
        """That of a recipe, of before there was a choice too.

        Args:
            recipe: A resolved one.
        """
        chosen = recipe.get("best") or {}
        metric, direction = (
            chosen.get(name, FIELDS[f"best.{name}"].default) for name in ("metric", "direction")
        )
        return cls(metric, bool(is_highest_best(metric, direction)))

    def check(self, measured: Sequence[str]) -> None:
        """Raises ``ValueError`` unless the metric is among what the run measures."""
        if self.metric not in measured:
            raise ValueError(
                f"`best.metric` must be one of {tuple(measured)}. "
                f"Received: best.metric={self.metric!r}{nearest(self.metric, measured)}"
            )

    def best(self, rows: Sequence[Row]) -> Row:
        """The best of at least one row; of equal ones the first."""
        return max(rows, key=self._merit)

    def waited(self, rows: Sequence[Row], min_delta: float = 0.0) -> int:
        """The number of rows since the last that was better than all before by over ``min_delta``.

        0 where that is the newest row, or there is none.
        """
        best, since = -float("inf"), 0
        for row in rows:
            merit = self._merit(row)
            best, since = (merit, 0) if merit - min_delta > best else (best, since + 1)
        return since

    def _merit(self, row: Row) -> float:
        return row[self.metric] if self.highest else -row[self.metric]


class SavedWeights(keras.callbacks.Callback):
    """Saves ``last.keras`` at every epoch, and ``best.keras`` where that is the best one yet.

    The files are written to a temporary name and renamed, so a kill leaves the earlier one.

    Args:
        model: The model to save; it may share its layers with the one that is trained.
        folder: The run folder.
        evaluated: A context in which the model has the weights that were evaluated.
        log: The ``RunLog``, which comes before this in the list of callbacks; None: no best.
        criterion: What the best is chosen by.
    """

    def __init__(
        self,
        model: keras.Model,
        folder: Path,
        evaluated: Callable[[], AbstractContextManager],
        log: RunLog | None = None,
        criterion: Criterion | None = None,
    ):
        super().__init__()
        self.saved_model = model
        self.folder = folder
        self.evaluated = evaluated
        self.log = log
        self.criterion = criterion

    def on_epoch_end(self, epoch, logs=None):
        """Writes the files."""
        last, best = (self.folder / name for name in (run_folder.LAST, run_folder.BEST))
        with self.evaluated():
            write_atomically(last, self.saved_model.save)
        if self.log is None or self.criterion is None:
            return
        if self.criterion.best(self.log.rows) is self.log.rows[-1]:
            write_atomically(best, lambda temporary: shutil.copyfile(last, temporary))


class EarlyStopping(keras.callbacks.Callback):
    """Ends a run that has waited for a better evaluation for long enough.

    ``early_stopping.patience`` is the number of evaluations in a row of which none is better than
    the best before them by more than ``early_stopping.min_delta``, as in Keras' own callback; the
    run ends at the last of them. Of several workers the chief decides, and all end together.

    Args:
        recipe: The resolved recipe.
        log: The ``RunLog``, which comes before this in the list of callbacks.
        distribution: What is trained on.
    """

    def __init__(self, recipe: config_dict.ConfigDict, log: RunLog, distribution: Distribution):
        super().__init__()
        self.criterion = Criterion.of(recipe)
        self.patience = recipe.early_stopping.patience
        self.min_delta = recipe.early_stopping.min_delta
        self.log = log
        self.distribution = distribution

    def is_due(self) -> bool:
        """Whether the rows so far end the run; all workers must ask at the same point."""
        if not self.patience:
            return False
        waited = self.criterion.waited(self.log.rows, self.min_delta)
        return self.distribution.any_worker(self.distribution.is_chief and waited >= self.patience)

    def on_epoch_end(self, epoch, logs=None):
        """Asks the model to end its training, and says why."""
        if not self.is_due():
            return
        self.model.stop_training = True
        if self.distribution.is_chief:
            newest, best = self.log.rows[-1], self.criterion.best(self.log.rows)
            print(
                f"Stopped early after step {newest['step']}: {self.criterion.metric} was best "
                f"after step {best['step']}",
                file=sys.stderr,
            )
