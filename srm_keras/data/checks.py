"""Checks of arguments that several data sources share."""

import os
from pathlib import Path
from typing import Any

import numpy as np

from srm_keras.support.validation import as_int


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


def positions(positions: Any, count: int) -> np.ndarray:
    """Return ``positions`` as an array if they are integers in [0, count), else ``ValueError``."""
    array = np.asarray(positions)
    if array.size == 0:
        array = array.astype("int64")
    if array.ndim != 1 or not np.issubdtype(array.dtype, np.integer):
        raise ValueError(
            "`positions` must be a one-dimensional array of integers. "
            f"Received: shape {array.shape}, dtype {array.dtype}"
        )
    if array.size and (array.min() < 0 or array.max() >= count):
        raise ValueError(
            f"`positions` must lie in [0, {count}). Received: {array.min()} … {array.max()}"
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
