"""Labels as probabilities, for batches that give them as class numbers."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

if TYPE_CHECKING:
    import tensorflow as tf

    from srm_keras.data import ArrayBatches


class OneHotBatches(keras.utils.PyDataset):
    """`ArrayBatches` whose labels are float32 (B, classes) instead of int32 (B,).

    Args:
        batches: The batches.
        classes: Number of classes.
    """

    def __init__(self, batches: "ArrayBatches", classes: int):
        super().__init__()
        self.batches = batches
        self.classes = classes

    @property
    def num_batches(self) -> int | None:
        """As many as there are, None where there is no end."""
        return self.batches.num_batches

    def __getitem__(self, index: int) -> tuple[Any, np.ndarray]:
        """Batch number `index`, from the first one on."""
        return self._one_hot(*self.batches[index])

    def __iter__(self) -> Iterator[tuple[Any, np.ndarray]]:
        """The batches from the first one on."""
        return (self._one_hot(images, labels) for images, labels in self.batches)

    def _one_hot(self, images: Any, labels: np.ndarray) -> tuple[Any, np.ndarray]:
        return images, np.eye(self.classes, dtype="float32")[labels]


def one_hot_stream(stream: "tf.data.Dataset", classes: int) -> "tf.data.Dataset":
    """A stream of (images, int labels (B,)) with float32 (B, classes) labels instead."""
    import tensorflow as tf

    return stream.map(lambda images, labels: (images, tf.one_hot(labels, classes)))
