"""Batches of NumPy arrays in the form that `fit` reads on every backend."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from srm_keras import data


class ArraySequence(keras.utils.PyDataset):
    """Batches that are asked for by their number, one after the other.

    Args:
        batches: A list of (images, labels), or an endless `ArrayBatches`.
        classes: Number of classes if labels are to become one-hot, else None.
    """

    def __init__(self, batches: "Sequence[Any] | data.ArrayBatches", classes: int | None):
        super().__init__()
        self.batches = batches
        self.classes = classes

    @property
    def num_batches(self) -> int | None:
        """None where there is no end."""
        return len(self.batches) if isinstance(self.batches, Sequence) else None

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Batch number `index`, from the first one on."""
        images, labels = self.batches[index]
        if self.classes is not None:
            labels = np.eye(self.classes, dtype="float32")[np.asarray(labels)]
        return images, labels
