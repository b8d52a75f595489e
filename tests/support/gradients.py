"""Gradients of a layer or function on whichever backend runs."""

from collections.abc import Callable

import keras
import numpy as np
from keras import ops

BACKEND = keras.config.backend()


def layer_gradients(layer, x: np.ndarray, upstream: np.ndarray, training: bool):
    """Return ``(y, dx, [dw of each trainable weight])`` of ``Σ upstream·layer(x)`` as NumPy."""
    return _LAYER_GRADIENTS[BACKEND](layer, x, upstream, training)


def function_gradient(function: Callable, x: np.ndarray, upstream: np.ndarray) -> np.ndarray:
    """Return the gradient of ``Σ upstream·function(x)`` by ``x`` as NumPy."""
    return _FUNCTION_GRADIENT[BACKEND](function, x, upstream)


def _weighted(y, upstream):
    wide = "float64" if keras.backend.standardize_dtype(y.dtype) == "float64" else "float32"
    return ops.sum(ops.cast(y, wide) * ops.cast(upstream, wide))


def _tf_layer(layer, x, upstream, training):
    import tensorflow as tf

    tensor = tf.convert_to_tensor(x)
    with tf.GradientTape() as tape:
        tape.watch(tensor)
        y = layer(tensor, training=training)
        loss = _weighted(y, upstream)
    weights = [variable.value for variable in layer.trainable_variables]
    dx, *dw = tape.gradient(loss, [tensor, *weights])
    return ops.convert_to_numpy(y), ops.convert_to_numpy(dx), _numpy_or_none(dw)


def _tf_function(function, x, upstream):
    import tensorflow as tf

    tensor = tf.convert_to_tensor(x)
    with tf.GradientTape() as tape:
        tape.watch(tensor)
        loss = _weighted(function(tensor), upstream)
    return ops.convert_to_numpy(tape.gradient(loss, tensor))


def _jax_layer(layer, x, upstream, training):
    import jax

    trainable = [variable.value for variable in layer.trainable_variables]
    fixed = [variable.value for variable in layer.non_trainable_variables]

    def loss(x, trainable):
        y, _ = layer.stateless_call(trainable, fixed, x, training=training)
        return _weighted(y, upstream), y

    gradient = jax.jit(jax.value_and_grad(loss, argnums=(0, 1), has_aux=True))
    (_, y), (dx, dw) = gradient(jax.numpy.asarray(x), trainable)
    return np.asarray(y), np.asarray(dx), _numpy_or_none(dw)


def _jax_function(function, x, upstream):
    import jax

    gradient = jax.jit(jax.grad(lambda tensor: _weighted(function(tensor), upstream)))
    return np.asarray(gradient(jax.numpy.asarray(x)))


def _torch_layer(layer, x, upstream, training):
    import torch

    tensor = torch.tensor(x, requires_grad=True)
    layer.zero_grad()
    y = layer(tensor, training=training)
    _weighted(y, torch.as_tensor(upstream)).backward()
    dw = [variable.value.grad for variable in layer.trainable_variables]
    return ops.convert_to_numpy(y), ops.convert_to_numpy(tensor.grad), _numpy_or_none(dw)


def _torch_function(function, x, upstream):
    import torch

    tensor = torch.tensor(x, requires_grad=True)
    _weighted(function(tensor), torch.as_tensor(upstream)).backward()
    return tensor.grad.numpy()


def _numpy_or_none(gradients) -> list[np.ndarray | None]:
    return [None if g is None else np.asarray(ops.convert_to_numpy(g)) for g in gradients]


_LAYER_GRADIENTS = {"tensorflow": _tf_layer, "jax": _jax_layer, "torch": _torch_layer}
_FUNCTION_GRADIENT = {"tensorflow": _tf_function, "jax": _jax_function, "torch": _torch_function}
