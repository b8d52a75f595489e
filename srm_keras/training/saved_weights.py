"""Evaluating and saving the network that is meant to be used."""

import math
import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import keras

from srm_keras.files import write_atomically
from srm_keras.training import run_folder
from srm_keras.training.run_log import RunLog


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
