"""Modules and layers written with stock Keras layers as runtimes like them.

Every form keeps its tensors four-dimensional, so that no reshape splits the graph, and does
products with weights by convolutions, which are quantized with a scale for each channel. Each is a
function ``form(layer, x)`` of a built ``channels_last`` layer and its symbolic input, whose height
and width may be unknown. The form of a folded module returns ``(x · (gain · gates), gates)``, gates
of shape (N, 1, 1, C) or (N, H, W, C), that of another layer what the layer computes. No tensor of
the map's size is multiplied by the gain. docs/export.md says what was measured to choose them.
"""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import layers, ops

from srm_keras.layers import (
    CBAM,
    ECA,
    SRM,
    ChannelwiseDense,
    GatherExcite,
    Recalibration,
    SqueezeExcite,
)
from srm_keras.layers.channel_mlp import ChannelMLP
from srm_keras.layers.instance_norm import InstanceNormalization
from srm_keras.layers.reflection import ReflectionPadding2D

LONGEST_SUM = 112 * 112
"""Pixels up to which one float32 sum is exact enough."""


def global_mean(x, name: str):
    """Mean over height and width of a ``channels_last`` map, (N, 1, 1, C).

    LiteRT adds pixel after pixel, so that rounding grows with their number. Maps of many pixels,
    or of an unknown number, are averaged over width and then over height: two short sums.

    Args:
        x: Symbolic tensor (N, H, W, C).
        name: Of the pooling layer, where one sum will do.
    """
    height, width = x.shape[1:3]
    if height is not None and width is not None and height * width <= LONGEST_SUM:
        return layers.GlobalAveragePooling2D(keepdims=True, name=name)(x)
    return ops.mean(ops.mean(x, axis=2, keepdims=True), axis=1, keepdims=True)


def srm(layer: SRM, x):
    """``σ(w_c · [mean, std] + b_c)``, the CFC as a depthwise convolution over two pixels."""
    name = layer.name
    mean = global_mean(x, f"{name}_mean")
    statistics = {
        "avg": lambda: mean,
        "std": lambda: _std(layer, x, mean),
        "max": lambda: layers.GlobalMaxPooling2D(keepdims=True, name=f"{name}_max")(x),
    }
    style = [statistics[pooling]() for pooling in layer.pooling]
    if isinstance(layer.encoder, ChannelwiseDense):
        z = _channelwise_dense(layer.encoder, style, name)
    else:
        t = layers.Concatenate(name=f"{name}_style")(style) if len(style) > 1 else style[0]
        z = _dense_pair(layer.encoder, name)(t)
    return _gated(layer, x, z)


def _std(layer: SRM, x, mean):
    """``√v`` as ``v · 1/√v``, whose int8 and int16 kernels are the more exact ones."""
    name = layer.name
    deviation = layers.Subtract(name=f"{name}_deviation")([x, mean])
    square = layers.Multiply(name=f"{name}_square")([deviation, deviation])
    variance = global_mean(square, f"{name}_variance")
    if layer.unbiased:
        pixels = x.shape[1] * x.shape[2]
        variance = variance * (pixels / max(pixels - 1, 1))
    variance = variance + layer.epsilon
    return layers.Multiply(name=f"{name}_std")([variance, ops.rsqrt(variance)])


def _channelwise_dense(encoder: ChannelwiseDense, style: list, name: str):
    kernel, *bias = encoder.get_weights()
    features = len(style)
    if features > 1:
        style = [layers.Concatenate(axis=2, name=f"{name}_style")(style)]
    conv = layers.DepthwiseConv2D((1, features), use_bias=bool(bias), name=f"{name}_cfc")
    return _with_weights(conv, [kernel.T.reshape(1, features, -1, 1), *bias])(style[0])


def squeeze_excite(layer: SqueezeExcite, x):
    """``σ(W₂ ReLU(W₁ mean))`` with 1×1 convolutions on a map of one pixel."""
    name = layer.name
    mean = global_mean(x, f"{name}_mean")
    return _gated(layer, x, _dense_pair(layer.mlp, name)(mean))


def eca(layer: ECA, x):
    """``σ(conv_k(mean))`` with the channels laid out along the width."""
    name, channels = layer.name, x.shape[-1]
    mean = global_mean(x, f"{name}_mean")
    row = ops.reshape(mean, (-1, 1, channels, 1))
    (kernel,) = layer.conv.get_weights()
    conv = layers.Conv2D(1, (1, len(kernel)), padding="same", use_bias=False, name=f"{name}_conv")
    z = _with_weights(conv, [kernel[None]])(row)
    return _gated(layer, x, ops.reshape(z, (-1, 1, 1, channels)))


def cbam(layer: CBAM, x):
    """``(x · M_c) · (gain · M_s)``, where ``M_s`` is computed from ``x · M_c``."""
    name = layer.name
    pooled = [
        global_mean(x, f"{name}_mean"),
        layers.GlobalMaxPooling2D(keepdims=True, name=f"{name}_max")(x),
    ]
    mlp = _dense_pair(layer.mlp, name)
    z = layers.Add(name=f"{name}_channel_logits")([mlp(t) for t in pooled])
    channel_gates = layers.Activation("sigmoid", name=f"{name}_channel_gates")(z)
    recalibrated = layers.Multiply(name=f"{name}_recalibrated")([x, channel_gates])
    mean = ops.mean(recalibrated, axis=-1, keepdims=True)
    maximum = ops.max(recalibrated, axis=-1, keepdims=True)
    maps = layers.Concatenate(name=f"{name}_maps")([mean, maximum])
    conv = layers.Conv2D(1, layer.kernel_size, padding="same", use_bias=False, name=f"{name}_conv")
    z = _with_weights(conv, layer.conv.get_weights())(maps)
    spatial_gates = layers.Activation("sigmoid", name=f"{name}_spatial_gates")(z)
    gates = layers.Multiply(name=f"{name}_gates")([channel_gates, spatial_gates])
    return layers.Multiply(name=name)([recalibrated, _factors(layer, spatial_gates)]), gates


def gather_excite(layer: GatherExcite, x):
    """The gates at the size of what was gathered, then enlarged: the sigmoid sees fewer pixels."""
    name = layer.name
    z = _average(layer, x) if layer.params == "theta_minus" else _convolved(layer, x)
    if not layer.extent:
        return _gated(layer, x, z)
    small = layers.Activation("sigmoid", name=f"{name}_small_gates")(z)
    enlarge = _enlarging(layer, x)
    gates = enlarge(small)
    factors = gates if layer.gain == 1 else enlarge(_factors(layer, small))
    return layers.Multiply(name=name)([x, factors]), gates


def _average(layer: GatherExcite, x):
    """The average pool whose symmetric padding does not count."""
    name, extent = layer.name, layer.extent
    if not extent:
        return global_mean(x, f"{name}_mean")
    kernel = 2 * extent - 1
    padded = layers.ZeroPadding2D(extent - 1, name=f"{name}_pad")(x)
    pooled = layers.AveragePooling2D(kernel, extent, name=f"{name}_pool")(padded)
    rows, columns = (_pixels_inside(size, extent) for size in x.shape[1:3])
    share = kernel**2 / np.outer(rows, columns)
    return pooled * share[None, :, :, None].astype("float32")


def _pixels_inside(size: int, extent: int) -> np.ndarray:
    """How many of each window's ``2·extent − 1`` pixels along one axis are no padding."""
    padded = np.pad(np.ones(size), extent - 1)
    windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * extent - 1)
    return windows[::extent].sum(axis=-1)


def _convolved(layer: GatherExcite, x):
    """The depthwise convolutions and, for theta_plus, the two pointwise ones."""
    name = layer.name
    for index, conv in enumerate(layer.depthwise, start=1):
        x = layers.ReLU(name=f"{name}_relu{index}")(x) if index > 1 else x
        if layer.extent:
            x = layers.ZeroPadding2D(1, name=f"{name}_pad{index}")(x)
        depthwise = layers.DepthwiseConv2D(
            conv.kernel_size, conv.strides, name=f"{name}_{conv.name}"
        )
        x = _with_weights(depthwise, conv.get_weights())(x)
    if not layer.pointwise:
        return x
    x = layers.ReLU(name=f"{name}_relu")(x)
    reduce, expand = (conv.get_weights() for conv in layer.pointwise)
    return _pointwise_pair(reduce, expand, name)(x)


def _enlarging(layer: GatherExcite, x) -> Callable:
    """Nearest-neighbour interpolation to the size of ``x``."""
    if any(side % layer.extent for side in x.shape[1:3]):
        return lambda gates: layer.interpolate(gates, like=x)
    height, width = x.shape[1:3]
    return layers.Resizing(
        height,
        width,
        interpolation="nearest",
        data_format="channels_last",
        name=f"{layer.name}_gates",
    )


def _gated(layer: Recalibration, x, z):
    """``x · (gain · σ(z))`` and ``σ(z)``."""
    gates = layers.Activation("sigmoid", name=f"{layer.name}_gates")(z)
    return layers.Multiply(name=layer.name)([x, _factors(layer, gates)]), gates


def _factors(layer: Recalibration, gates):
    """``gain · gates``."""
    if layer.gain == 1:
        return gates
    return layers.Rescaling(layer.gain, name=f"{layer.name}_gain")(gates)


def _dense_pair(mlp: ChannelMLP, name: str) -> Callable:
    """Both layers of an MLP as 1×1 convolutions, for maps of one pixel."""
    reduce, expand = (
        [kernel[None, None], *bias]
        for kernel, *bias in (mlp.reduce.get_weights(), mlp.expand.get_weights())
    )
    return _pointwise_pair(reduce, expand, name)


def _pointwise_pair(reduce: list, expand: list, name: str) -> Callable:
    """1×1 convolution, ReLU, 1×1 convolution, from their weights."""
    first, second = (
        _with_weights(
            layers.Conv2D(
                weights[0].shape[-1],
                1,
                activation=activation,
                use_bias=len(weights) > 1,
                name=f"{name}_{part}",
            ),
            weights,
        )
        for weights, activation, part in ((reduce, "relu", "reduce"), (expand, None, "expand"))
    )
    return lambda x: second(first(x))


def _with_weights(conv: keras.layers.Layer, weights: list) -> keras.layers.Layer:
    """``conv``, built so that it holds ``weights``: a (h, w, channels, …) kernel and a bias."""
    conv.build((None, None, None, weights[0].shape[2]))
    conv.set_weights(weights)
    return conv


FORMS: dict[type, Callable[[Any, Any], tuple[Any, Any]]] = {
    SRM: srm,
    SqueezeExcite: squeeze_excite,
    ECA: eca,
    CBAM: cbam,
    GatherExcite: gather_excite,
}


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
