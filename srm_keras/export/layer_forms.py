"""Layers other than modules written with stock Keras layers as runtimes like them.

As in ``deploy_forms``, each is a function ``form(layer, x)`` of a built ``channels_last`` layer and
its symbolic input, whose height and width may be unknown; it returns what the layer computes.
"""

from collections.abc import Callable
from typing import Any

import keras
from keras import layers, ops

from srm_keras.export.deploy_forms import global_mean
from srm_keras.layers.instance_norm import InstanceNormalization
from srm_keras.layers.reflection import ReflectionPadding2D

HEIGHT, WIDTH = 1, 2


def has_layer_form(layer: keras.layers.Layer) -> bool:
    """Whether ``layer`` is of a class and configuration that has a form here."""
    if isinstance(layer, layers.UpSampling2D):
        is_double = tuple(layer.size) == (2, 2) and layer.interpolation == "nearest"
        return is_double and type(layer) is layers.UpSampling2D
    return type(layer) in LAYER_FORMS


def reflection_padding(layer: ReflectionPadding2D, x):
    """Slices of one row or column in reverse order, and the map between them."""
    for axis in (HEIGHT, WIDTH):
        before = [_line(x, axis, place) for place in range(layer.padding, 0, -1)]
        after = [_line(x, axis, place) for place in range(-2, -layer.padding - 2, -1)]
        x = _joined([_joined(before, axis), x, _joined(after, axis)], axis)
    return x


def nearest_upsampling(layer: layers.UpSampling2D, x):
    """Four copies of each pixel's channels, laid out as 2×2 pixels."""
    return ops.depth_to_space(_joined([x] * 4, axis=-1), 2, data_format="channels_last")


def instance_normalization(layer: InstanceNormalization, x):
    """``(x − mean) · γ/√(v + ε) + β`` from maps of one pixel."""
    name = layer.name
    deviation = layers.Subtract(name=f"{name}_deviation")([x, global_mean(x, f"{name}_mean")])
    square = layers.Multiply(name=f"{name}_square")([deviation, deviation])
    variance = global_mean(square, f"{name}_variance")
    gamma, beta = (weight.astype("float32") for weight in layer.get_weights())
    return deviation * (ops.rsqrt(variance + layer.epsilon) * gamma) + beta


LAYER_FORMS: dict[type, Callable[[Any, Any], Any]] = {
    InstanceNormalization: instance_normalization,
    ReflectionPadding2D: reflection_padding,
    layers.UpSampling2D: nearest_upsampling,
}


def _line(x, axis: int, place: int):
    """One row or column; places below 0 count from the end."""
    cut = [slice(None)] * 4
    cut[axis] = slice(place, place + 1)
    return x[tuple(cut)]


def _joined(maps: list, axis: int):
    return maps[0] if len(maps) == 1 else ops.concatenate(maps, axis=axis)
