"""The work of recalibration modules, step by step.

The modules' own statistics and products count: they are the modules' cost. A step reads its inputs
and weights once and writes its output once; batch norms are folded, activations vanish, and no step
is fused with another: a standard deviation is one step after the mean, so SRM reads the map for the
mean, for the deviations and for the product.

An operation is one multiply-add, or an addition, multiplication or comparison that stands alone.
As is usual for ResNets, biases, batch norms (they fold into the convolution before them at
inference), activations, paddings, poolings, factors and the residual additions of the network count
nothing. The modules' own statistics and products do count, that of the gates with a gain other than
1 too: they are the modules' cost.
"""

from collections.abc import Callable
from typing import Any, TypeVar

import keras

from srm_keras.analysis.costs.layer_work import (
    Shape,
    Work,
    elements,
    gain_product,
    gated_product,
    layer_work,
    product,
)
from srm_keras.analysis.costs.traced_work import UncountedError, traced_work
from srm_keras.layers import (
    CBAM,
    ECA,
    FCA,
    GCT,
    SRM,
    GatherExcite,
    Recalibration,
    SimAM,
    SqueezeExcite,
)
from srm_keras.layers.conventions import channel_axis, spatial_axes


def _srm(layer: SRM, shape: Shape) -> Work:
    channels, statistics = _channels(layer, shape), len(layer.pooling)
    flat = (1, channels, statistics) if layer.integration == "cfc" else (1, channels * statistics)
    encoded = layer_work(layer.encoder, flat)
    if layer.bn is not None and not layer.encoder.use_bias:
        encoded += Work(read=channels)
    return layer_work(layer.style_pooling, shape) + encoded + gated_product(layer, shape, channels)


def _squeeze_excite(layer: SqueezeExcite, shape: Shape) -> Work:
    channels = _channels(layer, shape)
    mlp = layer_work(layer.mlp, (1, channels))
    return _over_space(layer, shape) + mlp + gated_product(layer, shape, channels)


def _eca(layer: ECA, shape: Shape) -> Work:
    channels = _channels(layer, shape)
    conv = layer_work(layer.conv, (1, channels, 1))
    return _over_space(layer, shape) + conv + gated_product(layer, shape, channels)


def _cbam(layer: CBAM, shape: Shape) -> Work:
    """Mean and max over space and over channels; the products x·M_c, M_c·M_s and x·gates."""
    channels, size = _channels(layer, shape), elements(shape)
    pixels = size // channels
    described = list(shape)
    described[channel_axis(layer.data_format)] = 2
    statistic, mlp = _over_space(layer, shape), layer_work(layer.mlp, (1, channels))
    channel_gates = statistic + statistic + mlp + mlp + Work(channels, 2 * channels, channels)
    over_channels = Work(size, size, pixels)
    spatial_gates = over_channels + over_channels + layer_work(layer.conv, tuple(described))
    gates = gain_product(layer, pixels) + Work(size, channels + pixels, size)
    return channel_gates + product(shape, channels) + spatial_gates + gates + product(shape, size)


def _gather_excite(layer: GatherExcite, shape: Shape) -> Work:
    gathered = _average(layer, shape) if layer.params == "theta_minus" else _learned(layer, shape)
    if not layer.extent:
        return gathered + gated_product(layer, shape, _channels(layer, shape))
    size = _gathered_size(layer, shape)
    interpolated = gain_product(layer, size) + Work(0, size, elements(shape))
    return gathered + interpolated + product(shape, elements(shape))


def _average(layer: GatherExcite, shape: Shape) -> Work:
    """Every window adds up its (2·extent − 1)² pixels; the global one all of the map."""
    if not layer.extent:
        return _over_space(layer, shape)
    size = _gathered_size(layer, shape)
    return Work(size * (2 * layer.extent - 1) ** 2, elements(shape), size)


def _gathered_size(layer: GatherExcite, shape: Shape) -> int:
    height, width = (-(-shape[axis] // layer.extent) for axis in spatial_axes(layer.data_format))
    return height * width * _channels(layer, shape)


def _learned(layer: GatherExcite, shape: Shape) -> Work:
    """The depthwise and 1×1 convolutions, one after the other; they pad the map as they read it."""
    axes, work = spatial_axes(layer.data_format), Work()
    for conv in layer.depthwise:
        margin = 2 if layer.extent else 0
        padded = tuple(side + margin * (axis in axes) for axis, side in enumerate(shape))
        if not margin and tuple(shape[axis] for axis in axes) != tuple(conv.kernel_size):
            raise ValueError(
                f"Layer {layer.name!r} was built for feature maps of {conv.kernel_size} pixels. "
                f"Received: input_shape={shape}"
            )
        work += layer_work(conv, padded) + Work(read=elements(shape) - elements(padded))
        if layer.batch_norm and not conv.use_bias:
            work += Work(read=_channels(layer, shape))
        shape = conv.compute_output_shape(padded)
    for conv in layer.pointwise:
        work += layer_work(conv, shape)
        shape = conv.compute_output_shape(shape)
    return work


def _simam(layer: SimAM, shape: Shape) -> Work:
    """Mean; squared deviations, written; their sum; what is multiplied and added to be a logit."""
    channels, size = _channels(layer, shape), elements(shape)
    squared, logits = Work(2 * size, size + channels, size), Work(size, size + channels, size)
    statistic = _over_space(layer, shape)
    return statistic + squared + statistic + logits + gated_product(layer, shape, size)


def _gct(layer: GCT, shape: Shape) -> Work:
    """Norm of each channel, times α; norm of all; times γ; divided by that norm, β added."""
    channels = _channels(layer, shape)
    weighted, normed = Work(channels, 2 * channels, channels), Work(channels, channels, 1)
    logits = Work(channels, 2 * channels + 1, channels)
    gates = _over_space(layer, shape) + weighted + normed + weighted + logits
    return gates + gated_product(layer, shape, channels)


def _fca(layer: FCA, shape: Shape) -> Work:
    """Products with cosines are summed along the width, and what remains along the height."""
    channels, size = _channels(layer, shape), elements(shape)
    height, width = (shape[axis] for axis in spatial_axes(layer.data_format))
    along_width = Work(size, size + width * channels, height * channels)
    along_height = Work(height * channels, 2 * height * channels, channels)
    mlp = layer_work(layer.mlp, (1, channels))
    return along_width + along_height + mlp + gated_product(layer, shape, channels)


def _over_space(layer: Any, shape: Shape) -> Work:
    """A mean, maximum or norm over height and width."""
    return Work(elements(shape), elements(shape), _channels(layer, shape))


def _channels(layer: Any, shape: Shape) -> int:
    return shape[channel_axis(layer.data_format)]


MODULES: dict[type, Callable[[Any, Shape], Work]] = {
    CBAM: _cbam,
    ECA: _eca,
    FCA: _fca,
    GCT: _gct,
    GatherExcite: _gather_excite,
    SimAM: _simam,
    SqueezeExcite: _squeeze_excite,
    SRM: _srm,
}


Counter = Callable[[Any, Shape], int | Work]
AnyCounter = TypeVar("AnyCounter", bound=Counter)

_MODULES: dict[type, Counter] = dict(MODULES)


def register_operations(module: type[keras.layers.Layer]) -> Callable[[AnyCounter], AnyCounter]:
    """Register the cost of a recalibration module, where its trace would not tell it.

    A ``Recalibration`` that is not registered is counted by tracing its gates, which knows no
    fusion and is coarse for unusual operations. Counters are looked up by exact class: a subclass
    may compute something else.

    Example:
        >>> @register_operations(MyModule)
        ... def my_module_work(layer, input_shape):
        ...     size = math.prod(input_shape)  # a mean and the product with the gates
        ...     return Work(operations=2 * size, read=2 * size, written=size)

    Args:
        module: The layer class. The decorated function takes a built layer of it and the static
            shape (1, H, W, C) or (1, C, H, W) of its input, and returns a ``Work``, or an int for
            the operations alone: numbers read and written are then those of the trace.
    """

    def register(counter: AnyCounter) -> AnyCounter:
        _MODULES[module] = counter
        return counter

    return register


def multiply_adds(layer: keras.layers.Layer, input_shape: Shape) -> int:
    """Multiply-adds of a convolution or dense layer of the network; 0 for layers that have none.

    Args:
        layer: A built Keras layer.
        input_shape: Static shape of its input, batch axis first.

    Raises:
        ValueError: It is not known what a layer of this class costs.
    """
    return layer_work(layer, input_shape).operations


def module_operations(layer: keras.layers.Layer, input_shape: Shape) -> int:
    """Operations of a recalibration module: its statistics, its layers, the product with gates.

    Args:
        layer: A built module.
        input_shape: Static shape of the feature map, batch axis first.

    Raises:
        ValueError: The layer is no ``Recalibration`` and not registered, its gates cannot be
            traced, or it cannot take a map of this size.
    """
    counted = _counted(layer, input_shape)
    return counted if isinstance(counted, int) else counted.operations


def module_work(layer: keras.layers.Layer, input_shape: Shape) -> Work:
    """What ``module_operations`` counts, with the numbers read and written.

    Raises:
        ValueError: As ``module_operations``.
    """
    counted = _counted(layer, input_shape)
    if isinstance(counted, Work):
        return counted
    traced = _trace(layer, input_shape)
    return Work(counted, traced.read, traced.written)


def is_module(layer: keras.layers.Layer) -> bool:
    """Whether the cost of ``layer`` belongs in the modules' column."""
    known = isinstance(layer, Recalibration) or type(layer) in _MODULES
    return known or layer.name.endswith("_recalibration")


def is_registered(layer: keras.layers.Layer) -> bool:
    """Whether the class of ``layer`` has a count of its own, so that it is not traced."""
    return type(layer) in _MODULES


def _counted(layer: Any, input_shape: Shape) -> int | Work:
    if is_registered(layer):
        return _MODULES[type(layer)](layer, input_shape)
    return _trace(layer, input_shape)


def _trace(layer: Any, input_shape: Shape) -> Work:
    if not isinstance(layer, Recalibration):
        raise UncountedError(
            f"It is not known how many operations a {type(layer).__name__} takes. Register it with "
            "`srm_keras.analysis.register_operations`. "
            f"Received: layer {layer.name!r} of class {type(layer).__name__}, which is no "
            "Recalibration"
        )
    return traced_work(layer, input_shape)
