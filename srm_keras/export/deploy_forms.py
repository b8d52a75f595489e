"""Modules written with stock Keras layers as runtimes like them.

Every form keeps its tensors four-dimensional, so that no reshape splits the graph, and does
products with weights by convolutions, which are quantized with a scale for each channel. Each is a
function ``form(layer, x)`` of a folded ``channels_last`` module and its symbolic input, whose
height and width are known where ``NEEDS_SIZE`` says so. It returns ``(x · (gain · gates), gates)``,
gates of shape (N, 1, 1, C) or (N, H, W, C). No tensor of the map's size is multiplied by the gain,
but SimAM's gates. docs/export.md says what was measured to choose them.
"""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import layers, ops

from srm_keras.layers import (
    CBAM,
    ECA,
    FCA,
    GCT,
    SRM,
    ChannelwiseDense,
    GatherExcite,
    Recalibration,
    SimAM,
    SqueezeExcite,
)
from srm_keras.layers.channel_mlp import ChannelMLP

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
    name = layer.name
    deviation = layers.Subtract(name=f"{name}_deviation")([x, mean])
    variance = _variance(deviation, name, layer.unbiased)
    return _root(variance + layer.epsilon, f"{name}_std")


def _variance(deviation, name: str, unbiased: bool):
    """The mean of the squared deviations, over H·W − 1 where it is unbiased."""
    variance = global_mean(_squared(deviation, f"{name}_square"), f"{name}_variance")
    if not unbiased:
        return variance
    pixels = _pixels(deviation)
    return variance * (pixels / max(pixels - 1, 1))


def _squared(x, name: str):
    return layers.Multiply(name=name)([x, x])


def _root(x, name: str):
    """``√x`` as ``x · 1/√x``, whose int8 and int16 kernels are the more exact ones."""
    return layers.Multiply(name=name)([x, ops.rsqrt(x)])


def _pixels(x) -> int:
    return x.shape[1] * x.shape[2]


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


def simam(layer: SimAM, x):
    """``σ(u² + ½)`` with ``u = (x − mean) · 1/√(4(v + λ))``.

    A deviation of a few units is what eight bits hold best: its square before the division has
    another range in every channel, and integers have no division.
    """
    name = layer.name
    deviation = layers.Subtract(name=f"{name}_deviation")([x, global_mean(x, f"{name}_mean")])
    variance = _variance(deviation, name, unbiased=True)
    scale = ops.rsqrt(4.0 * variance + 4.0 * layer.e_lambda)
    unit = layers.Multiply(name=f"{name}_unit")([deviation, scale])
    return _gated(layer, x, _squared(unit, f"{name}_logits") + 0.5)


def gct(layer: GCT, x):
    """``σ(2γ·s/‖s‖ + 2β)``, norms as means: their ratio is the same, but for ε over H·W."""
    name, l2 = layer.name, layer.mode == "l2"
    alpha, gamma, beta = layer.get_weights()
    epsilon = layer.epsilon / _pixels(x)
    if l2:
        energy = global_mean(_squared(x, f"{name}_square"), f"{name}_energy")
        norm = _root(energy + epsilon, f"{name}_norm")
    else:
        norm = global_mean(x if layer.after_relu else ops.abs(x), f"{name}_norm")
    embedding = _channelwise(alpha, f"{name}_embedding")(norm)
    power = _squared(embedding, f"{name}_power") if l2 else ops.abs(embedding)
    norms = ops.mean(power, axis=-1, keepdims=True) + epsilon
    inverse = ops.rsqrt(norms if l2 else _squared(norms, f"{name}_norms"))
    normalized = layers.Multiply(name=f"{name}_normalized")([embedding, inverse])
    return _gated(layer, x, _channelwise(2.0 * gamma, f"{name}_logits", 2.0 * beta)(normalized))


def _channelwise(scale: np.ndarray, name: str, *offset: np.ndarray) -> keras.layers.Layer:
    """A product with a number for each channel, (C,), and perhaps a sum with another."""
    conv = layers.DepthwiseConv2D(1, use_bias=bool(offset), name=name)
    return _with_weights(conv, [scale[None, None, :, None], *offset])


def fca(layer: FCA, x):
    """The cosines as two depthwise convolutions, each as long as the map along its side."""
    name = layer.name
    rows, columns = map(ops.convert_to_numpy, layer.bases(*x.shape[1:3]))
    along_width = layers.DepthwiseConv2D((1, len(columns)), use_bias=False, name=f"{name}_columns")
    along_height = layers.DepthwiseConv2D((len(rows), 1), use_bias=False, name=f"{name}_rows")
    component = _with_weights(along_width, [columns[None, :, :, None]])(x)
    component = _with_weights(along_height, [rows[:, None, :, None]])(component)
    return _gated(layer, x, _dense_pair(layer.mlp, name)(component))


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
    SimAM: simam,
    GCT: gct,
    FCA: fca,
    GatherExcite: gather_excite,
}
NEEDS_SIZE: dict[type, Callable[[Any], bool]] = {
    **dict.fromkeys((SimAM, GCT, FCA), lambda layer: True),
    SRM: lambda layer: layer.unbiased,
    GatherExcite: lambda layer: layer.extent > 0,
}
"""Modules whose form depends on height and width, and with which options."""
