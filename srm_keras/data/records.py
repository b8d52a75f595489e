"""A split that TFDS has written as ArrayRecord files, whose records are read by position."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from srm_keras.data import checks
from srm_keras.data.info import DatasetInfo
from srm_keras.data.progress import with_progress

if TYPE_CHECKING:
    import tensorflow as tf
    import tensorflow_datasets as tfds


@dataclass(frozen=True, eq=False)
class Records:
    """Encoded images and their labels, record by record: what `Examples` is to files.

    Attributes:
        builder: The prepared TFDS data set, with a feature `image`, in the format `array_record`.
        tfds_split: The name of the split there.
        positions: int64 (N,), the records that are meant, in this order.
        info: What is known about the split.
        label_feature: The feature that is the label; None: all are of the one class of `info`.
    """

    builder: "tfds.core.DatasetBuilder"
    tfds_split: str
    positions: np.ndarray
    info: DatasetInfo
    label_feature: str | None = "label"

    in_memory = False
    domains = None
    groups = None

    def __len__(self) -> int:
        """Number of examples."""
        return len(self.positions)

    @cached_property
    def labels(self) -> np.ndarray:
        """int32 (N,). The first use reads all records, and tells stderr how far it has come."""
        if self.label_feature is None:
            return np.zeros(len(self), "int32")
        source = self._source()
        labels = (self._label(source[int(position)]) for position in self.positions)
        read = with_progress(labels, len(self), f"{self.info.name}: read", "labels")
        return np.fromiter(read, "int32", len(self))

    def subset(self, positions: Sequence[int] | np.ndarray) -> "Records":
        """The examples at `positions`, in that order; see `Examples.subset`."""
        chosen = self.positions[checks.positions(positions, len(self))]
        return replace(self, positions=chosen, info=replace(self.info, num_examples=len(chosen)))

    def encoded(self) -> "tf.data.Dataset":
        """A `tf.data.Dataset` of (string scalar, the file's bytes; int32 label) in this order.

        TensorFlow can read it by position: one record is then read, and no other.
        """
        import tensorflow as tf

        source = self._source()

        def record(position: np.ndarray) -> tuple[bytes, np.int32]:
            features = source[int(position)]
            return features["image"], self._label(features)

        def read(position: "tf.Tensor") -> "tuple[tf.Tensor, tf.Tensor]":
            content, label = tf.numpy_function(record, [position], (tf.string, tf.int32))
            return tf.ensure_shape(content, ()), tf.ensure_shape(label, ())

        positions = tf.data.Dataset.from_tensor_slices(self.positions)
        return positions.map(read, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)

    def dataset(self) -> "tf.data.Dataset":
        """A `tf.data.Dataset` of (uint8 image (H, W, 3), int32 label); see `Examples.dataset`."""
        import tensorflow as tf

        from srm_keras.data.image_folder.decode import decode

        return self.encoded().map(
            lambda content, label: (decode(content), label),
            num_parallel_calls=tf.data.AUTOTUNE,
            deterministic=True,
        )

    def _label(self, features: dict[str, Any]) -> np.int32:
        if self.label_feature is None:
            return np.int32(0)
        label = np.asarray(features[self.label_feature])
        return checks.class_numbers("`labels`", label[np.newaxis], self.info.num_classes)[0]

    def _source(self) -> Sequence[dict[str, Any]]:
        """The split's records, whose `image` is the file's bytes."""
        import tensorflow_datasets as tfds

        return self.builder.as_data_source(
            self.tfds_split, decoders={"image": tfds.decode.SkipDecoding()}
        )
