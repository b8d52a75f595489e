"""CIFAR-10 and CIFAR-100 (Krizhevsky 2009): 50,000 + 10,000 colour images of 32×32 pixels."""

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from srm_keras.data import checks
from srm_keras.data.examples import DatasetInfo, Examples
from srm_keras.data.sources.prepared import prepare_command, prepared_builder, root_folder
from srm_keras.support.validation import one_of

_SHAPE = (32, 32, 3)
_PIXELS = 32 * 32 * 3


@dataclass(frozen=True)
class _Variant:
    """One of the two sets, and its binary archive.

    A record of the archive is ``label_bytes`` labels, of which the last counts, and the red, green
    and blue planes.
    """

    name: str
    archive: str
    folder: str
    files: dict[str, tuple[str, ...]]
    names_file: str
    classes: int
    label_bytes: int


_CIFAR10 = _Variant(
    "cifar10",
    "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
    "cifar-10-batches-bin",
    {
        "train": tuple(f"data_batch_{k}.bin" for k in range(1, 6)),
        "test": ("test_batch.bin",),
    },
    "batches.meta.txt",
    classes=10,
    label_bytes=1,
)
_CIFAR100 = _Variant(
    "cifar100",
    "https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz",
    "cifar-100-binary",
    {"train": ("train.bin",), "test": ("test.bin",)},
    "fine_label_names.txt",
    classes=100,
    label_bytes=2,
)


def load_cifar10(split: str, *, data_dir: str | os.PathLike | None = None) -> Examples:
    """Reads a split of CIFAR-10.

    Args:
        split: ``"train"`` or ``"test"``.
        data_dir: A folder of TFDS data sets that holds ``cifar10``, or the one to which the binary
            archive was extracted. Default: the folder where TFDS puts its data sets.

    Returns:
        The ``Examples``; images (N, 32, 32, 3) are kept in memory. TensorFlow is not needed to read
        the binary archive.

    Raises:
        ValueError: If the split is unknown, or the data is missing (it says how to get it) or
            damaged.
    """
    return _load(_CIFAR10, split, data_dir)


def load_cifar100(split: str, *, data_dir: str | os.PathLike | None = None) -> Examples:
    """Reads a split of CIFAR-100 with its 100 fine labels; else as ``load_cifar10``."""
    return _load(_CIFAR100, split, data_dir)


def _load(variant: _Variant, split: str, data_dir: str | os.PathLike | None) -> Examples:
    one_of("split", split, variant.files)
    root = root_folder(data_dir)
    if (root / variant.folder).is_dir():
        images, labels, names = _from_archive(variant, split, root / variant.folder)
    else:
        images, labels, names = _from_tfds(variant, split, root)
    info = DatasetInfo(variant.name, split, len(images), len(names), names, _SHAPE)
    return Examples(images, checks.class_numbers("`labels`", labels, len(names)), info)


def _from_archive(
    variant: _Variant, split: str, folder: Path
) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
    paths = [folder / name for name in (*variant.files[split], variant.names_file)]
    missing = [path.name for path in paths if not path.is_file()]
    if missing:
        raise ValueError(
            f"{folder} lacks {', '.join(missing)}. Extract {variant.archive} again. "
            f"Received: data_dir={str(folder.parent)!r}"
        )
    *data_paths, names_path = paths
    parts = [_records(variant, path) for path in data_paths]
    records = np.concatenate(parts)
    labels = records[:, variant.label_bytes - 1]
    planes = records[:, variant.label_bytes :].reshape(-1, 3, 32, 32)
    names = tuple(names_path.read_text(encoding="utf-8").split())
    if len(names) != variant.classes or labels.max() >= variant.classes:
        raise ValueError(f"{folder} must hold {variant.classes} classes. Received: {len(names)}")
    return np.ascontiguousarray(planes.transpose(0, 2, 3, 1)), labels, names


def _records(variant: _Variant, path: Path) -> np.ndarray:
    """(N, label_bytes + 3072) bytes."""
    length = variant.label_bytes + _PIXELS
    values = np.fromfile(path, "uint8")
    if len(values) == 0 or len(values) % length:
        raise ValueError(
            f"{path} must hold records of {length} bytes. Received: {len(values)} bytes"
        )
    return values.reshape(-1, length)


def _from_tfds(
    variant: _Variant, split: str, root: Path
) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
    builder = prepared_builder(variant.name, root)
    if builder is None:
        raise ValueError(
            f"{variant.name} is not in `data_dir`. Run "
            f"{prepare_command(variant.name, root)}, or extract {variant.archive} to {root}. "
            f"Received: data_dir={str(root)!r}"
        )
    import tensorflow_datasets as tfds

    in_order = tfds.ReadConfig(interleave_cycle_length=1)
    features = builder.as_dataset(split=split, batch_size=-1, read_config=in_order)
    names = tuple(builder.info.features["label"].names)
    return features["image"].numpy(), features["label"].numpy(), names
