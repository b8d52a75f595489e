"""Data sets that TensorFlow Datasets (TFDS) has written to a folder."""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from srm_keras.data import checks
from srm_keras.data.examples import DatasetInfo
from srm_keras.support.timing import with_progress

if TYPE_CHECKING:
    import tensorflow as tf
    import tensorflow_datasets as tfds

BY_POSITION = "array_record"
"""The file format of TFDS whose records can be read by position."""


def root_folder(data_dir: str | os.PathLike | None) -> Path:
    """``data_dir``, or else the folder where TFDS puts its data sets."""
    default = os.environ.get("TFDS_DATA_DIR", "~/tensorflow_datasets")
    return checks.path("data_dir", default if data_dir is None else data_dir)


def prepared_builder(name: str, root: Path) -> "tfds.core.DatasetBuilder | None":
    """The builder of the newest version of a data set in ``root``, or None if there is none.

    Args:
        name: The data set's name in TFDS.
        root: The folder of TFDS data sets; ``root/name/1.2.3/dataset_info.json`` is looked for.
    """
    found = [
        path.parent
        for path in (root / name).glob("*/dataset_info.json")
        if re.fullmatch(r"\d+\.\d+\.\d+", path.parent.name)
    ]
    if not found:
        return None
    import tensorflow_datasets as tfds

    newest = max(found, key=lambda folder: [int(part) for part in folder.name.split(".")])
    return tfds.builder_from_directory(os.fspath(newest))


def records_of(
    name: str,
    split: str,
    tfds_name: str,
    root: Path,
    advice: str,
    only_class: str | None = None,
) -> "Records":
    """A split of a prepared data set of photographs.

    Args:
        name: The source's name.
        split: ``"train"`` or ``"val"``, which TFDS calls ``"validation"``.
        tfds_name: The data set's name in TFDS.
        root: The folder of TFDS data sets.
        advice: How to get the data, up to the command that TFDS has for it.
        only_class: The name of the one class of images without labels.

    Raises:
        ValueError: If the data set is not there, or in a format that cannot be read by position.
    """
    builder = prepared_builder(tfds_name, root)
    if builder is None:
        raise ValueError(
            f"{advice} {prepare_command(tfds_name, root, BY_POSITION)}. "
            f"Received: data_dir={str(root)!r}"
        )
    _check_read_by_position(builder, tfds_name, root)
    tfds_split = "validation" if split == "val" else split
    count = builder.info.splits[tfds_split].num_examples
    label = None if only_class else "label"
    names = (only_class,) if only_class else tuple(builder.info.features["label"].names)
    info = DatasetInfo(name, split, count, len(names), names, (None, None, 3))
    return Records(builder, tfds_split, np.arange(count), info, label)


def _check_read_by_position(builder: "tfds.core.DatasetBuilder", name: str, root: Path) -> None:
    file_format = builder.info.file_format.value
    if file_format != BY_POSITION:
        raise ValueError(
            f"{name} in {root} must have the format {BY_POSITION}, which can be read by position. "
            f"Received: {file_format}. Convert it with `tfds convert_format "
            f"--root_data_dir={root}/{name} --out_file_format={BY_POSITION} --out_path=NEW_FOLDER`"
        )


def prepare_command(name: str, root: Path, file_format: str = "") -> str:
    """The command line that downloads and prepares a data set of TFDS in ``root``."""
    option = f", file_format='{file_format}'" if file_format else ""
    code = (
        f"import tensorflow_datasets as tfds; "
        f"tfds.builder('{name}', data_dir='{root}'{option}).download_and_prepare()"
    )
    return f'python -c "{code}"'


@dataclass(frozen=True, eq=False)
class Records:
    """Encoded images and their labels, record by record: what ``Examples`` is to files.

    Attributes:
        builder: The prepared TFDS data set, with a feature ``image``, in the format
            ``array_record``.
        tfds_split: The name of the split there.
        positions: int64 (N,), the records that are meant, in this order.
        info: What is known about the split.
        label_feature: The feature that is the label; None: all are of the one class of ``info``.
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
        """The examples at ``positions``, in that order; see ``Examples.subset``."""
        places = checks.positions(positions, len(self))
        chosen = self.positions[places]
        part = replace(self, positions=chosen, info=replace(self.info, num_examples=len(chosen)))
        if "labels" in vars(self):  # they were read, and are not read again
            vars(part)["labels"] = self.labels[places]
        return part

    def encoded(self) -> "tf.data.Dataset":
        """A ``tf.data.Dataset`` of (string scalar, the file's bytes; int32 label) in this order.

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
        """Pairs of (uint8 image (H, W, 3), int32 label); see ``Examples.dataset``."""
        import tensorflow as tf

        from srm_keras.data.decode import decode

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
        """The split's records, whose ``image`` is the file's bytes."""
        import tensorflow_datasets as tfds

        return self.builder.as_data_source(
            self.tfds_split, decoders={"image": tfds.decode.SkipDecoding()}
        )
