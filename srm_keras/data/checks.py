"""Checks of arguments that data sources share, and those of all makers of batches."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from srm_keras.data.augmentation import Augmentation
from srm_keras.support.validation import as_int, int_of_at_least_0, positive_int


def seed_in_range(seed: Any) -> int:
    """Return ``seed`` as an ``int`` if it is an integer in [0, 2**63), else ``ValueError``."""
    number = as_int(seed)
    if number is None or not 0 <= number < 2**63:
        raise ValueError(f"`seed` must be an integer in [0, 2**63). Received: seed={seed!r}")
    return number


def path(name: str, value: Any) -> Path:
    """Return ``value`` as a path with ``~`` expanded, else raise ``ValueError``."""
    if not isinstance(value, str | os.PathLike):
        raise ValueError(f"`{name}` must be a path. Received: {name}={value!r}")
    return Path(value).expanduser()


def folder_of(name: str, value: Any, folders: Iterable[str], expected: str) -> Path:
    """Return ``value`` as a path if all of ``folders`` are in it, else raise ``ValueError``.

    Args:
        name: Of the argument.
        value: A path, or None.
        folders: Names of folders.
        expected: What the argument must be, and how to get it.
    """
    root = None if value is None else path(name, value)
    if root is None or not all((root / folder).is_dir() for folder in folders):
        received = None if root is None else str(root)
        raise ValueError(f"`{name}` must be {expected}. Received: {name}={received!r}")
    return root


def positions(values: Any, count: int, name: str = "positions") -> np.ndarray:
    """Return ``values`` as an array if they are integers in [0, count), else ``ValueError``."""
    array = np.asarray(values)
    if array.size == 0:
        array = array.astype("int64")
    if array.ndim != 1 or not np.issubdtype(array.dtype, np.integer):
        raise ValueError(
            f"`{name}` must be a one-dimensional array of integers. "
            f"Received: shape {array.shape}, dtype {array.dtype}"
        )
    if array.size and (array.min() < 0 or array.max() >= count):
        raise ValueError(
            f"`{name}` must lie in [0, {count}). Received: {array.min()} … {array.max()}"
        )
    return array


def class_numbers(name: str, values: Any, classes: int = 2**31) -> np.ndarray:
    """Return ``values`` as int32 (N,) if they are integers in [0, classes), else ``ValueError``."""
    array = np.asarray(values)
    if array.ndim != 1 or not np.issubdtype(array.dtype, np.integer):
        some = ", ".join(str(value) for value in array.ravel()[:3])
        raise ValueError(
            f"{name} must be integers (N,), the number of each example's class. "
            f"Received: shape {array.shape}, dtype {array.dtype}, {some} …"
        )
    wrong = array[(array < 0) | (array >= classes)]
    if wrong.size:
        raise ValueError(
            f"{name} must lie in 0 … {classes - 1}. "
            f"Received: {array.min()} … {array.max()}, {wrong[0]} for one"
        )
    return array.astype("int32")


def tags(name: str, values: Any) -> np.ndarray:
    """Return ``values`` as strings (N,) if they are texts or integers, else ``ValueError``."""
    array = np.asarray(values)
    if array.ndim != 1 or array.dtype.kind not in "Uiu":
        some = ", ".join(repr(value) for value in array.ravel()[:3].tolist())
        raise ValueError(
            f"{name} must be texts (N,). "
            f"Received: shape {array.shape}, dtype {array.dtype}, {some} …"
        )
    return array.astype(str)


def check_part(
    batch_size: int, training: bool, start_step: Any, shard: Any
) -> tuple[int, tuple[int, int]]:
    """Returns ``start_step`` and ``shard`` if they name a part of the training stream.

    Raises:
        ValueError: If they do not.
    """
    start_step = int_of_at_least_0("start_step", start_step)
    pair = isinstance(shard, tuple | list) and len(shard) == 2
    index, count = map(as_int, shard) if pair else (None, None)
    if index is None or count is None:
        raise ValueError(f"`shard` must be two integers (i, n). Received: shard={shard!r}")
    if not 0 <= index < count:
        raise ValueError(f"`shard` must be (i, n) with 0 <= i < n. Received: shard={shard!r}")
    if batch_size % count:
        raise ValueError(
            f"`batch_size` must be a multiple of the number of shards, {count}. "
            f"Received: batch_size={batch_size}"
        )
    if not training and (start_step or count > 1):
        raise ValueError(
            "`start_step` and `shard` are for training. "
            f"Received: training=False, start_step={start_step}, shard={tuple(shard)}"
        )
    return start_step, (index, count)


def check_augmentation(
    augmentation: Any, num_classes: Any, training: bool, local_batch_size: int, examples: Any
) -> None:
    """Raises ``ValueError`` unless batches of that size, of these examples, can be augmented so."""
    if augmentation is None:
        return
    if not isinstance(augmentation, Augmentation):
        raise ValueError(
            f"`augmentation` must be an Augmentation or None. Received: {augmentation!r}"
        )
    if not training:
        raise ValueError("`augmentation` is for training. Received: training=False")
    if not augmentation.mixes:
        return
    positive_int("num_classes", num_classes)
    info = getattr(examples, "info", None)
    if info is not None and num_classes < info.num_classes:
        raise ValueError(
            f"`num_classes` must be at least that of the examples, {info.num_classes}. "
            f"Received: num_classes={num_classes}"
        )
    if local_batch_size % 2:
        raise ValueError(
            "`batch_size` must be even, in each shard, with MixUp or CutMix, which blend "
            f"neighbours. Received: {local_batch_size} examples"
        )


def check_repeats(
    batch_size: int, training: bool, repeats: Any, augmentation: Augmentation | None
) -> int:
    """Returns ``repeats`` if so many copies of each image can stand in a batch.

    Raises:
        ValueError: If they cannot.
    """
    repeats = positive_int("repeats", repeats)
    if repeats > 1 and not training:
        raise ValueError(f"`repeats` are for training. Received: training=False, repeats={repeats}")
    if batch_size % repeats:
        raise ValueError(
            f"`repeats` must divide batch_size={batch_size}. Received: repeats={repeats}"
        )
    if repeats == batch_size > 1 and augmentation is not None and augmentation.mixes:
        raise ValueError(
            "`repeats` must be below the batch size with MixUp or CutMix, which would blend an "
            f"image with itself. Received: repeats={repeats}"
        )
    return repeats


def check_enough(examples: int, batch_size: int) -> None:
    """Raises ``ValueError`` unless the examples fill a batch."""
    if examples < batch_size:
        raise ValueError(
            f"`batch_size` must be at most the number of examples, {examples}, in training. "
            f"Received: batch_size={batch_size}"
        )
