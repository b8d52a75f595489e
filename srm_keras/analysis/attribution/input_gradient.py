"""The gradient of a function with respect to an array, on whichever Keras backend runs."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

Function = Callable[[Any], Any]


def input_gradient(function: Function, x: np.ndarray) -> np.ndarray:
    """Return the gradient of ``function`` at ``x``.

    Args:
        function: from a tensor of the backend to a scalar tensor, in Keras layers and operations.
        x: floating array.

    Returns:
        Array of the shape and dtype of ``x``.

    Raises:
        ValueError: the Keras backend has no gradients here.
    """
    backend = keras.config.backend()
    if backend not in _GRADIENTS:
        raise ValueError(
            f"The Keras backend must be one of {list(_GRADIENTS)} to compute gradients. "
            f"Received: {backend!r}"
        )
    return keras.ops.convert_to_numpy(_GRADIENTS[backend](function, x))


def _tensorflow(function: Function, x: np.ndarray) -> Any:
    import tensorflow as tf

    tensor = tf.convert_to_tensor(x)
    with tf.GradientTape() as tape:
        tape.watch(tensor)
        value = function(tensor)
    return tape.gradient(value, tensor)


def _jax(function: Function, x: np.ndarray) -> Any:
    import jax

    return jax.grad(function)(jax.numpy.asarray(x))


def _torch(function: Function, x: np.ndarray) -> Any:
    import torch

    tensor = keras.ops.convert_to_tensor(x).detach().requires_grad_()
    (gradient,) = torch.autograd.grad(function(tensor), tensor)
    return gradient


_GRADIENTS = {"tensorflow": _tensorflow, "jax": _jax, "torch": _torch}
