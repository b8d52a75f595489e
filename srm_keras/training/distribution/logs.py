"""What a step returns, left on the device until somebody reads it."""

from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np


class Unread:
    """A number that stays on the device until ``numpy.asarray`` asks for it.

    Keras makes floats of all that a step returns before it calls the callbacks, after every step,
    and waits for the device to get them. What cannot be made one it hands on as it is, and its
    progress bar asks NumPy for the mean of what it shows, when it draws.

    Args:
        value: Scalar tensor.
    """

    def __init__(self, value: Any):
        self._value = value

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        """The number, as NumPy's protocol wants it."""
        return np.asarray(keras.ops.convert_to_numpy(self._value), dtype)


def unread(logs: Mapping[str, Any]) -> dict[str, Unread]:
    """The logs of a step, left where they are."""
    return {name: Unread(value) for name, value in logs.items()}


def unreading(step: Callable[..., Any]) -> Callable[..., Any]:
    """What ``fit`` or ``evaluate`` calls for a step, with its logs ``unread``.

    On JAX ``step`` itself: Keras reads its logs in threads of its own.
    """
    if keras.config.backend() == "jax":
        return step
    return lambda *args: unread(step(*args))
