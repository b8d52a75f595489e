"""The work of this package's recalibration modules, step by step.

The modules' own statistics and products count: they are the modules' cost. A step reads its inputs
and weights once and writes its output once; batch norms are folded, activations vanish, and no step
is fused with another: a standard deviation is one step after the mean, so SRM reads the map for the
mean, for the deviations and for the product.
"""

from collections.abc import Callable
from typing import Any

from srm_keras.analysis.costs.layer_work import layer_work
from srm_keras.analysis.costs.work import Shape, Work, elements, product
from srm_keras.layers import CBAM, ECA, SRM, GatherExcite, SqueezeExcite
from srm_keras.layers.data_format import channel_axis, spatial_axes


def _srm(layer: SRM, shape: Shape) -> Work:
    channels, statistics = _channels(layer, shape), len(layer.pooling)
    flat = (1, channels, statistics) if layer.integration == "cfc" else (1, channels * statistics)
    encoded = layer_work(layer.encoder, flat)
    if layer.bn is not None and not layer.encoder.use_bias:
        encoded += Work(read=channels)
    return layer_work(layer.style_pooling, shape) + encoded + product(shape, channels)


def _squeeze_excite(layer: SqueezeExcite, shape: Shape) -> Work:
    channels = _channels(layer, shape)
    mlp = layer_work(layer.mlp, (1, channels))
    return _over_space(layer, shape) + mlp + product(shape, channels)


def _eca(layer: ECA, shape: Shape) -> Work:
    channels = _channels(layer, shape)
    conv = layer_work(layer.conv, (1, channels, 1))
    return _over_space(layer, shape) + conv + product(shape, channels)


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
    gates = Work(size, channels + pixels, size)
    return channel_gates + product(shape, channels) + spatial_gates + gates + product(shape, size)


def _gather_excite(layer: GatherExcite, shape: Shape) -> Work:
    gathered = _average(layer, shape) if layer.params == "theta_minus" else _learned(layer, shape)
    if not layer.extent:
        return gathered + product(shape, _channels(layer, shape))
    interpolated = Work(0, _gathered_size(layer, shape), elements(shape))
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


def _over_space(layer: Any, shape: Shape) -> Work:
    """A mean or maximum over height and width."""
    return Work(elements(shape), elements(shape), _channels(layer, shape))


def _channels(layer: Any, shape: Shape) -> int:
    return shape[channel_axis(layer.data_format)]


MODULES: dict[type, Callable[[Any, Shape], Work]] = {
    CBAM: _cbam,
    ECA: _eca,
    GatherExcite: _gather_excite,
    SqueezeExcite: _squeeze_excite,
    SRM: _srm,
}
