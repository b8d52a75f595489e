"""A split of a data set whose examples can be read by their positions."""

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from srm_keras.data import checks
from srm_keras.support.validation import class_names


@dataclass(frozen=True)
class DatasetInfo:
    """What ``load`` knows about the data set that it returns.

    Attributes:
        name: The source's name, as given to ``load``.
        split: The split's name, as given to ``load``.
        num_examples: Number of examples in the split.
        num_classes: Number of classes; labels are 0 … num_classes - 1.
        class_names: The name of each label.
        image_shape: (height, width, channels); height and width are None where images differ.

    Raises:
        ValueError: If there are not as many names as classes, one is no text, or two are equal.
    """

    name: str
    split: str
    num_examples: int
    num_classes: int
    class_names: tuple[str, ...]
    image_shape: tuple[int | None, int | None, int]

    def __post_init__(self) -> None:
        if len(class_names("class_names", self.class_names)) != self.num_classes:
            raise ValueError(
                f"`class_names` must be one for each of {self.num_classes} classes. "
                f"Received: {len(self.class_names)}"
            )


if TYPE_CHECKING:
    import tensorflow as tf


@dataclass(frozen=True, eq=False)
class Examples:
    """The examples of a split, N of them, in a fixed order.

    Attributes:
        images: uint8 array (N, H, W, C), or a tuple of N paths of image files, which are
            decoded to RGB when they are read.
        labels: int32 (N,), the class of each.
        info: What is known about the split.
        domains: (N,) strings, the visual domain of each, or None.
        groups: (N,) strings, or None. Examples of one group are near-duplicates of each other, or
            stem from one source, and belong on the same side of any split.
        root: The data set's folder, below which the files have their names; None in memory.
        drawn_by: What drew the images, with its version, which makes them what they are; else None.

    Raises:
        ValueError: If the lengths differ, an array has another dtype or rank, or a label is none
            of the classes.
    """

    images: np.ndarray | tuple[Path, ...]
    labels: np.ndarray
    info: DatasetInfo
    domains: np.ndarray | None = None
    groups: np.ndarray | None = None
    root: Path | None = None
    drawn_by: str | None = None

    def __post_init__(self) -> None:
        _check_images(self.images)
        labels = self.labels
        if labels.dtype != np.int32 or labels.ndim != 1:
            raise ValueError(
                "`labels` must be an int32 array of rank 1. "
                f"Received: shape {labels.shape}, dtype {labels.dtype}"
            )
        if len(labels) and not 0 <= labels.min() <= labels.max() < self.info.num_classes:
            raise ValueError(
                f"`labels` must lie in 0 … {self.info.num_classes - 1}. "
                f"Received: {labels.min()} … {labels.max()}"
            )
        for name in ("domains", "groups"):
            values = getattr(self, name)
            if values is not None and (values.ndim != 1 or values.dtype.kind != "U"):
                raise ValueError(
                    f"`{name}` must be strings (N,). "
                    f"Received: shape {values.shape}, dtype {values.dtype}"
                )
        lengths = {name: len(values) for name, values in self._columns().items()}
        if set(lengths.values()) != {self.info.num_examples}:
            raise ValueError(
                f"All parts must have info.num_examples={self.info.num_examples} entries. "
                f"Received: {lengths}"
            )

    def __len__(self) -> int:
        """Number of examples."""
        return len(self.labels)

    @property
    def in_memory(self) -> bool:
        """Whether the images are an array, and not files to be read."""
        return isinstance(self.images, np.ndarray)

    def subset(self, positions: Sequence[int] | np.ndarray) -> "Examples":
        """The examples at ``positions``, in that order.

        Args:
            positions: Integers in [0, N).

        Raises:
            ValueError: If a position is not an integer in that range.
        """
        positions = checks.positions(positions, len(self))
        images = self.images
        return Examples(
            images[positions]
            if isinstance(images, np.ndarray)
            else tuple(images[position] for position in positions),
            self.labels[positions],
            replace(self.info, num_examples=len(positions)),
            None if self.domains is None else self.domains[positions],
            None if self.groups is None else self.groups[positions],
            self.root,
            None if self.drawn_by is None else f"{self.drawn_by}[{_digest(positions)}]",
        )

    def dataset(self) -> "tf.data.Dataset":
        """A ``tf.data.Dataset`` of (uint8 image (H, W, C), int32 label) in this order.

        TensorFlow can read it by position. H and W are static where ``info.image_shape`` says so.
        """
        import tensorflow as tf

        if isinstance(self.images, np.ndarray):
            return tf.data.Dataset.from_tensor_slices((self.images, self.labels))
        from srm_keras.data.decode import decode

        shape = self.info.image_shape

        def decoded(content: "tf.Tensor", label: "tf.Tensor") -> "tuple[tf.Tensor, tf.Tensor]":
            return tf.ensure_shape(decode(content), shape), label

        return self.encoded().map(decoded, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)

    def encoded(self) -> "tf.data.Dataset":
        """A ``tf.data.Dataset`` of (string scalar, the file's bytes; int32 label) in this order.

        TensorFlow can read it by position: one file is then read, and no other.

        Raises:
            ValueError: If the images are in memory.
        """
        import tensorflow as tf

        if isinstance(self.images, np.ndarray):
            raise ValueError("`encoded` needs images in files. Received: images in memory")

        def read(path: "tf.Tensor", label: "tf.Tensor") -> "tuple[tf.Tensor, tf.Tensor]":
            return tf.io.read_file(path), label

        names = [os.fsencode(path) for path in self.images]
        files = tf.data.Dataset.from_tensor_slices((names, self.labels))
        return files.map(read, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)

    def _columns(self) -> dict[str, Sequence | np.ndarray]:
        columns = {
            "images": self.images,
            "labels": self.labels,
            "domains": self.domains,
            "groups": self.groups,
        }
        return {name: values for name, values in columns.items() if values is not None}


def _digest(positions: np.ndarray) -> str:
    """A few letters that tell a choice of examples from others."""
    return hashlib.blake2b(positions.astype("<i8").tobytes(), digest_size=4).hexdigest()


def _check_images(images: np.ndarray | tuple[Path, ...]) -> None:
    if isinstance(images, np.ndarray):
        if images.dtype != np.uint8 or images.ndim != 4:
            raise ValueError(
                "`images` must be a uint8 array (N, H, W, C). "
                f"Received: shape {images.shape}, dtype {images.dtype}"
            )
    elif not isinstance(images, tuple):
        raise ValueError(
            "`images` must be a uint8 array (N, H, W, C) or a tuple of paths. "
            f"Received: {type(images).__name__}"
        )
