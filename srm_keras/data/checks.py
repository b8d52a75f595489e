"""Checks of arguments that several data sources share."""

import os
from pathlib import Path
from typing import Any

import numpy as np


def seed_in_range(seed: Any) -> int:
    """Return `seed` if it is an integer in [0, 2**63), else raise `ValueError`."""
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**63:
        raise ValueError(f"`seed` must be an integer in [0, 2**63). Received: seed={seed!r}")
    return seed


def fraction(name: str, value: Any) -> float:
    """Return `value` if it is a number in [0, 1], else raise `ValueError`."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise ValueError(f"`{name}` must be a number in [0, 1]. Received: {name}={value!r}")
    return value


def path(name: str, value: Any) -> Path:
    """Return `value` as a path with `~` expanded, else raise `ValueError`."""
    if not isinstance(value, str | os.PathLike):
        raise ValueError(f"`{name}` must be a path. Received: {name}={value!r}")
    return Path(value).expanduser()


def positions(positions: Any, count: int) -> np.ndarray:
    """Return `positions` as an array if they are integers in [0, count), else `ValueError`."""
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
