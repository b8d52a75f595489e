"""What all layers agree on: axes, dtype policies and the constants of batch norm."""

import contextlib
from collections.abc import Iterator

import keras
import numpy as np

from srm_keras.support.validation import one_of


def standardize_data_format(data_format: str | None) -> str:
    """Return ``data_format``, or Keras' global setting when it is None."""
    if data_format is None:
        return keras.config.image_data_format()
    return one_of("data_format", data_format, ("channels_last", "channels_first"))


def channel_axis(data_format: str) -> int:
    """Axis of the channels in a 4-D feature map."""
    return -1 if data_format == "channels_last" else 1


def spatial_axes(data_format: str) -> tuple[int, int]:
    """Axes of height and width in a 4-D feature map."""
    return (1, 2) if data_format == "channels_last" else (2, 3)


def feature_shape(channels: int, data_format: str) -> tuple[int | None, ...]:
    """Static shape of a feature map of which only the number of channels is known."""
    if data_format == "channels_last":
        return (None, None, None, channels)
    return (None, channels, None, None)


def over_space(x, data_format: str):
    """Reshape a per-channel (N, C) tensor so that it broadcasts over height and width."""
    channels = x.shape[-1]
    shape = (-1, 1, 1, channels) if data_format == "channels_last" else (-1, channels, 1, 1)
    return keras.ops.reshape(x, shape)


@contextlib.contextmanager
def dtype_policy(policy: str | keras.dtype_policies.DTypePolicy) -> Iterator[None]:
    """A context in which new layers have ``policy``, a name or a policy."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


EPSILON = 1e-5
MOMENTUM = 0.9


def batch_norm(
    name: str, axis: int = -1, dtype=None, momentum: float = MOMENTUM, gamma_initializer="ones"
) -> keras.layers.BatchNormalization:
    """Batch normalization with the ResNet constants (Keras' own are 1e-3 and 0.99)."""
    return keras.layers.BatchNormalization(
        axis=axis,
        epsilon=EPSILON,
        momentum=momentum,
        gamma_initializer=gamma_initializer,
        name=name,
        dtype=dtype,
    )


def inference_affine(bn: keras.layers.BatchNormalization) -> tuple[np.ndarray, np.ndarray]:
    """Return float64 ``(scale, offset)`` of shape (C,) so that inference is ``x·scale + offset``.

    ``scale = γ / √(v + ε)`` and ``offset = β − m·scale`` with the moving mean m and variance v.
    """
    mean = np.asarray(keras.ops.convert_to_numpy(bn.moving_mean), "float64")
    variance = np.asarray(keras.ops.convert_to_numpy(bn.moving_variance), "float64")
    scale = 1.0 / np.sqrt(variance + bn.epsilon)
    if bn.scale:
        scale = scale * keras.ops.convert_to_numpy(bn.gamma)
    offset = -mean * scale
    if bn.center:
        offset = offset + keras.ops.convert_to_numpy(bn.beta)
    return scale, offset
