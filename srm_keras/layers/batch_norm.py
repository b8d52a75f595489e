"""The batch normalization that every module and network here uses, and its inference form."""

import keras
import numpy as np

EPSILON = 1e-5
MOMENTUM = 0.9


def batch_norm(name: str, axis: int = -1, dtype=None) -> keras.layers.BatchNormalization:
    """Batch normalization with the ResNet constants (Keras' own are 1e-3 and 0.99)."""
    return keras.layers.BatchNormalization(
        axis=axis, epsilon=EPSILON, momentum=MOMENTUM, name=name, dtype=dtype
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
