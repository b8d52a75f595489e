"""What is kept of the best evaluation of a run, and the end of a run that gets no better."""

import shutil
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import keras
from ml_collections import config_dict

from srm_keras.support.files import write_atomically
from srm_keras.training import run_folder
from srm_keras.training.callbacks import RunLog
from srm_keras.training.criterion import Criterion
from srm_keras.training.distribution import Distribution


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
            step, metric = self.log.rows[-1]["step"], self.criterion.metric
            print(
                f"Stopped early after step {step}: {metric} got no better "
                f"(early_stopping: patience={self.patience}, min_delta={self.min_delta:g})",
                file=sys.stderr,
            )
