"""How many operations one layer spends on one image.

An operation is one multiply-add, or an addition, multiplication or comparison that stands alone.
As is usual for ResNets, biases, batch norms (they fold into the convolution before them at
inference), activations, paddings, poolings and the residual additions of the network count
nothing. The modules' own statistics and products do count: they are the modules' cost.
"""

import math
from collections.abc import Callable
from typing import Any, TypeVar

import keras
from keras import layers

from srm_keras.layers import (
    CBAM,
    ECA,
    SRM,
    ChannelMLP,
    ChannelwiseDense,
    GatherExcite,
    SqueezeExcite,
)
from srm_keras.layers.data_format import spatial_axes
from srm_keras.models.shortcut import IdentityShortcut

Shape = tuple[int, ...]
Counter = Callable[[Any, Shape], int]
AnyCounter = TypeVar("AnyCounter", bound=Counter)

_UNCOUNTED = frozenset(
    {
        IdentityShortcut,
        layers.Activation,
        layers.Add,
        layers.BatchNormalization,
        layers.GlobalAveragePooling2D,
        layers.GlobalMaxPooling2D,
        layers.MaxPooling2D,
        layers.ReLU,
        layers.ZeroPadding2D,
    }
)
_MODULES: dict[type, Counter] = {}


def register_operations(module: type[keras.layers.Layer]) -> Callable[[AnyCounter], AnyCounter]:
    """Register the cost of a recalibration module, so that networks with it can be counted.

    Counters are looked up by exact class: a subclass may compute something else, so it needs a
    registration of its own.

    Example:
        >>> @register_operations(MyModule)
        ... def my_module_operations(layer, input_shape):
        ...     return 2 * math.prod(input_shape)  # a mean and the product with the gates

    Args:
        module: the layer class. The decorated function takes a built layer of it and the static
            shape (1, H, W, C) or (1, C, H, W) of its input, and returns an int.
    """

    def register(counter: AnyCounter) -> AnyCounter:
        _MODULES[module] = counter
        return counter

    return register


def multiply_adds(layer: keras.layers.Layer, input_shape: Shape) -> int:
    """Multiply-adds of a convolution or dense layer of the network; 0 for layers that have none.

    Args:
        layer: a built Keras layer.
        input_shape: static shape of its input, batch axis first.

    Raises:
        ValueError: it is not known what a layer of this class costs.
    """
    if type(layer) in _UNCOUNTED:
        return 0
    return _lookup(_WEIGHTED, layer)(layer, input_shape)


def module_operations(layer: keras.layers.Layer, input_shape: Shape) -> int:
    """Operations of a recalibration module: its statistics, its layers, the product with gates.

    Args:
        layer: a built module of this package, or of a class given to ``register_operations``.
        input_shape: static shape of the feature map, batch axis first.

    Raises:
        ValueError: no cost is registered for the layer's class, or the module cannot take a map
            of this size.
    """
    return _lookup(_MODULES, layer)(layer, input_shape)


def is_module(layer: keras.layers.Layer) -> bool:
    """Whether the cost of ``layer`` belongs in the modules' column."""
    return type(layer) in _MODULES or layer.name.endswith("_recalibration")


def _lookup(counters: dict[type, Counter], layer: Any) -> Counter:
    counter = counters.get(type(layer))
    if counter is None:
        raise ValueError(
            f"It is not known how many operations a {type(layer).__name__} takes. Register it with "
            "`srm_keras.analysis.register_operations`. "
            f"Received: layer {layer.name!r} of class {type(layer).__name__}"
        )
    return counter


def _convolution(layer, shape: Shape) -> int:
    """The kernel holds (*window, channels / groups, filters)."""
    return math.prod(layer.compute_output_shape(shape)[1:]) * math.prod(layer.kernel.shape[:-1])


def _depthwise(layer, shape: Shape) -> int:
    return math.prod(layer.compute_output_shape(shape)[1:]) * math.prod(layer.kernel_size)


def _dense(layer, shape: Shape) -> int:
    return math.prod(shape[1:]) * layer.units


def _mlp(layer: ChannelMLP, shape: Shape) -> int:
    hidden = layer.reduce.compute_output_shape(shape)
    return _dense(layer.reduce, shape) + _dense(layer.expand, hidden)


def _channelwise_dense(layer: ChannelwiseDense, shape: Shape) -> int:
    return math.prod(shape[1:])


_WEIGHTED: dict[type, Counter] = {
    ChannelMLP: _mlp,
    ChannelwiseDense: _channelwise_dense,
    layers.Conv1D: _convolution,
    layers.Conv2D: _convolution,
    layers.Dense: _dense,
    layers.DepthwiseConv2D: _depthwise,
}


@register_operations(SRM)
def _srm(layer: SRM, shape: Shape) -> int:
    """Mean: 1 an element. Std: 2 (subtract the mean, square and add), and it needs the mean."""
    passes = {"avg": 1, "max": 1, "std": 2 if "avg" in layer.pooling else 3}
    style = (1, _channels(layer, shape), len(layer.pooling))
    if layer.integration == "mlp":
        encoded = multiply_adds(layer.encoder, (1, math.prod(style)))
    else:
        encoded = multiply_adds(layer.encoder, style)
    statistics = sum(passes[name] for name in layer.pooling) * math.prod(shape)
    return statistics + encoded + math.prod(shape)


@register_operations(SqueezeExcite)
def _squeeze_excite(layer: SqueezeExcite, shape: Shape) -> int:
    return 2 * math.prod(shape) + multiply_adds(layer.mlp, (1, _channels(layer, shape)))


@register_operations(ECA)
def _eca(layer: ECA, shape: Shape) -> int:
    return 2 * math.prod(shape) + multiply_adds(layer.conv, (1, _channels(layer, shape), 1))


@register_operations(CBAM)
def _cbam(layer: CBAM, shape: Shape) -> int:
    """Mean and max over space and over channels, and the products x·M_c, M_c·M_s and x·gates."""
    channels = _channels(layer, shape)
    described = list(shape)
    described[1 if layer.data_format == "channels_first" else -1] = 2
    return (
        7 * math.prod(shape)
        + 2 * multiply_adds(layer.mlp, (1, channels))
        + channels  # the sum of the two outputs of the MLP
        + multiply_adds(layer.conv, tuple(described))
    )


@register_operations(GatherExcite)
def _gather_excite(layer: GatherExcite, shape: Shape) -> int:
    gather = _average if layer.params == "theta_minus" else _learned_gather
    return gather(layer, shape) + math.prod(shape)


def _average(layer: GatherExcite, shape: Shape) -> int:
    """Every window adds up its (2·extent − 1)² pixels; the global one all of the map."""
    if not layer.extent:
        return math.prod(shape)
    windows = [-(-shape[axis] // layer.extent) for axis in spatial_axes(layer.data_format)]
    return math.prod(windows) * _channels(layer, shape) * (2 * layer.extent - 1) ** 2


def _learned_gather(layer: GatherExcite, shape: Shape) -> int:
    """The depthwise and 1×1 convolutions, one after the other."""
    axes = spatial_axes(layer.data_format)
    count = 0
    for conv in layer.depthwise:
        if layer.extent:
            shape = tuple(side + 2 * (axis in axes) for axis, side in enumerate(shape))
        elif tuple(shape[axis] for axis in axes) != tuple(conv.kernel_size):
            raise ValueError(
                f"Layer {layer.name!r} was built for feature maps of {conv.kernel_size} pixels. "
                f"Received: input_shape={shape}"
            )
        count += multiply_adds(conv, shape)
        shape = conv.compute_output_shape(shape)
    for conv in layer.pointwise:
        count += multiply_adds(conv, shape)
        shape = conv.compute_output_shape(shape)
    return count


def _channels(layer: Any, shape: Shape) -> int:
    return shape[1] if layer.data_format == "channels_first" else shape[-1]
