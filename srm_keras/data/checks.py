"""Checks of arguments that several data sources share."""

import os
from pathlib import Path
from typing import Any


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
