"""The work of the layers that networks consist of.

Every layer reads its inputs and its weights from memory once and writes its output once. What
folds away at inference does not: a batch norm leaves nothing but an offset for each channel to the
layer before it, an activation nothing at all. Poolings, paddings and the residual additions move
numbers and count no operation, as is usual for ResNets.
"""

import math
from collections.abc import Callable
from typing import Any

from keras import layers

from srm_keras.analysis.costs.work import Shape, Work, elements, stored
from srm_keras.layers import ChannelMLP, ChannelwiseDense, StylePooling
from srm_keras.layers.data_format import channel_axis
from srm_keras.layers.gather_excite import DepthwiseConv2D
from srm_keras.models.shortcut import IdentityShortcut

_MOVING = frozenset(
    {
        IdentityShortcut,
        layers.Add,
        layers.GlobalAveragePooling2D,
        layers.GlobalMaxPooling2D,
        layers.MaxPooling2D,
        layers.ZeroPadding2D,
    }
)
_VANISHING = frozenset({layers.Activation, layers.ReLU})


def layer_work(layer: layers.Layer, input_shape: Any) -> Work:
    """Work of a built layer that is no recalibration module.

    Args:
        layer: of a class that ``knows`` knows.
        input_shape: static shape of its input, batch axis first; a list where it has several.

    Raises:
        ValueError: it is not known what a layer of this class costs.
    """
    kind = type(layer)
    if kind in _VANISHING:
        return Work()
    if kind is layers.BatchNormalization:
        return Work(read=input_shape[layer.axis])
    if kind in _MOVING:
        return Work(0, elements(input_shape), elements(layer.compute_output_shape(input_shape)))
    if kind in _SEVERAL_STEPS:
        return _SEVERAL_STEPS[kind](layer, input_shape)
    if kind in _WEIGHTED:
        return _weighted(layer, input_shape, _WEIGHTED[kind](layer, input_shape))
    raise ValueError(
        f"It is not known how many operations a {kind.__name__} takes. "
        f"Received: layer {layer.name!r} of class {kind.__name__}"
    )


def knows(layer: layers.Layer) -> bool:
    """Whether ``layer_work`` counts layers of this class."""
    kinds = {layers.BatchNormalization, *_VANISHING, *_MOVING, *_SEVERAL_STEPS, *_WEIGHTED}
    return type(layer) in kinds


def _weighted(layer: Any, input_shape: Shape, operations: int) -> Work:
    output = elements(layer.compute_output_shape(input_shape))
    return Work(operations, elements(input_shape) + stored(layer), output)


def _convolution(layer: Any, shape: Shape) -> int:
    """The kernel holds (*window, channels / groups, filters)."""
    return math.prod(layer.compute_output_shape(shape)[1:]) * math.prod(layer.kernel.shape[:-1])


def _depthwise(layer: Any, shape: Shape) -> int:
    return math.prod(layer.compute_output_shape(shape)[1:]) * math.prod(layer.kernel_size)


def _dense(layer: Any, shape: Shape) -> int:
    return math.prod(shape[1:]) * layer.units


def _channelwise_dense(layer: ChannelwiseDense, shape: Shape) -> int:
    return math.prod(shape[1:])


def _mlp(layer: ChannelMLP, shape: Shape) -> Work:
    hidden = layer.reduce.compute_output_shape(shape)
    return layer_work(layer.reduce, shape) + layer_work(layer.expand, hidden)


def _style_pooling(layer: StylePooling, shape: Shape) -> Work:
    """Mean: 1 operation an element. Std: 2 (subtract the mean, square and add), after the mean."""
    size, channels = elements(shape), shape[channel_axis(layer.data_format)]
    one_pass = Work(size, size, channels)
    from_the_mean = Work(2 * size, size + channels, channels)
    with_its_mean = one_pass + from_the_mean
    std = from_the_mean if "avg" in layer.pooling else with_its_mean
    work = {"avg": one_pass, "max": one_pass, "std": std}
    return sum((work[name] for name in layer.pooling), Work())


_WEIGHTED: dict[type, Callable[[Any, Shape], int]] = {
    ChannelwiseDense: _channelwise_dense,
    layers.Conv1D: _convolution,
    layers.Conv2D: _convolution,
    layers.Dense: _dense,
    layers.DepthwiseConv2D: _depthwise,
    DepthwiseConv2D: _depthwise,
}
_SEVERAL_STEPS: dict[type, Callable[[Any, Shape], Work]] = {
    ChannelMLP: _mlp,
    StylePooling: _style_pooling,
}
