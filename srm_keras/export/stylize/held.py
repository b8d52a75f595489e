"""Networks split in two: what they measure of a whole image, and the rest, pixel by pixel.

Instance normalization, AdaIN and recalibration take statistics of a whole map. For one image each
of them is ``y = a·x + b`` with a pair (a, b) for each channel. `measuring` gives these pairs, and
`local` is the same network with the pairs as weights, which can be run piece by piece.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops

from srm_keras.layers import Recalibration
from srm_keras.layers.adaptive_instance_norm import AdaptiveInstanceNormalization
from srm_keras.layers.instance_norm import InstanceNormalization
from srm_keras.models.functional import copy_weights, new_inputs, remade

NORMALIZATIONS: tuple[type, ...] = (
    keras.layers.GroupNormalization,
    InstanceNormalization,
    AdaptiveInstanceNormalization,
)
"""Layers that are ``a·x + b`` in their (first) input for each image and channel."""


class HeldAffine(keras.layers.Layer):
    """``y = a·x + b`` with numbers a and b for each channel that stay until ``hold`` is called.

    Input shape:
        (N, H, W, C); or a list of such, all of which but the first are ignored.

    Output shape:
        That of the (first) input.
    """

    def build(self, input_shape) -> None:
        """Make a and b, which begin as the identity."""
        self.single = not isinstance(input_shape[0], tuple | list)
        channels = (input_shape if self.single else input_shape[0])[-1]
        self.scale, self.offset = (
            self.add_weight(
                shape=(channels,), initializer=start, dtype="float32", trainable=False, name=name
            )
            for name, start in (("scale", "ones"), ("offset", "zeros"))
        )

    def call(self, inputs):
        """Apply them in float32."""
        x = inputs if self.single else inputs[0]
        return ops.cast(ops.cast(x, "float32") * self.scale + self.offset, x.dtype)

    def compute_output_shape(self, input_shape):
        """That of the (first) input."""
        return input_shape if self.single else input_shape[0]

    def hold(self, scale: np.ndarray, offset: np.ndarray) -> None:
        """Take these numbers, each (C,), from now on."""
        self.scale.assign(scale)
        self.offset.assign(offset)


class ChannelAffine(keras.layers.Layer):
    """Finds a and b of a layer from its input and output.

    ``a = cov(x, y) / var(x)`` and ``b = mean(y) − a·mean(x)`` over height and width, in float32; a
    is 0 where x is constant.

    Input shape:
        A list of two maps (N, H, W, C).

    Output shape:
        (N, 2, 1, C): a, then b.
    """

    def call(self, inputs):
        """Fit the line through all pixels of a channel."""
        x, y = (ops.cast(each, "float32") for each in inputs)
        x_mean, y_mean = (ops.mean(each, axis=(1, 2), keepdims=True) for each in (x, y))
        deviation = x - x_mean
        covariance = ops.mean(deviation * (y - y_mean), axis=(1, 2), keepdims=True)
        variance = ops.mean(ops.square(deviation), axis=(1, 2), keepdims=True)
        scale = covariance / ops.where(variance > 0, variance, 1.0)
        return ops.concatenate([scale, y_mean - scale * x_mean], axis=1)


class GateAffine(keras.layers.Layer):
    """The gates of a recalibration module as (a, b), with b = 0.

    Args:
        module: built, whose weights are shared.

    Input shape:
        That of the module.

    Output shape:
        (N, 2, 1, C): the gates, then zeros; another one for gates that are not the same everywhere.
    """

    def __init__(self, module: Recalibration, **kwargs: Any):
        super().__init__(**kwargs)
        self.module = module

    def call(self, inputs):
        """Read the gates."""
        gates = ops.cast(self.module.gates(inputs, training=False), "float32")
        return ops.concatenate([gates, ops.zeros_like(gates)], axis=1)


@dataclass(frozen=True)
class SplitNetwork:
    """A network in two parts, of which neither shares a layer with it.

    Attributes:
        local: the network, with `HeldAffine` layers for those that look at the whole image.
        measuring: from the inputs of the network to a dict of (N, 2, C), a pair for each of these
            layers; None where there are none.
    """

    local: keras.Model
    measuring: keras.Model | None

    def hold(self, pairs: Mapping[str, np.ndarray]) -> None:
        """Give ``local`` the pairs (1, 2, 1, C) that ``measuring`` gives for an image."""
        for name, pair in pairs.items():
            self.local.get_layer(name).hold(*pair[0, :, 0])


def split(model: keras.Model) -> SplitNetwork:
    """Return the two parts of ``model``, a functional model without models inside of it.

    Raises:
        ValueError: a recalibration module has gates of its own for each pixel, one layer that
            looks at the whole image is called several times, or a layer cannot be made anew from
            its configuration.
    """
    local = _copy(model, _held, lambda layer, x, y: None)
    pairs: dict[str, Any] = {}

    def note(layer: Any, x: Any, y: Any) -> None:
        if layer.name in pairs:
            raise _whole_only("a layer with statistics of the image that is called twice", layer)
        pairs[layer.name] = _pair(layer, x, y)

    clone = _copy(model, lambda layer: remade(layer, layer.name), note)
    if not pairs:
        return SplitNetwork(local, None)
    return SplitNetwork(local, keras.Model(clone.input, pairs, name=f"{model.name}_statistics"))


def _held(layer: Any) -> HeldAffine:
    return HeldAffine(name=layer.name, dtype=layer.dtype_policy.name)


def _is_global(layer: Any) -> bool:
    return isinstance(layer, (Recalibration, *NORMALIZATIONS))


def _copy(
    model: keras.Model, instead: Callable[[Any], Any], note: Callable[[Any, Any, Any], None]
) -> keras.Model:
    """A copy with ``instead`` of each global layer; ``note`` sees the latter's calls."""

    def copy(layer: Any) -> Any:
        return instead(layer) if _is_global(layer) else remade(layer, layer.name)

    def call(layer: Any, *args: Any, **kwargs: Any) -> Any:
        outputs = layer(*args, **kwargs)
        if _is_global(layer):
            note(layer, args[0], outputs)
        return outputs

    clone = keras.models.clone_model(model, new_inputs(model), copy, call)
    for layer in clone.layers:
        if not isinstance(layer, HeldAffine):
            copy_weights(model.get_layer(layer.name), layer)
    return clone


def _pair(layer: Any, inputs: Any, outputs: Any) -> Any:
    """The symbolic (a, b) of a call, (N, 2, 1, C)."""
    name = f"{layer.name}_affine"
    if not isinstance(layer, Recalibration):
        x = inputs[0] if isinstance(inputs, list | tuple) else inputs
        return ChannelAffine(name=name, dtype="float32")([x, outputs])
    pair = GateAffine(layer, name=name, dtype="float32")(inputs)
    if tuple(pair.shape[1:3]) != (2, 1):
        raise _whole_only("a recalibration module with a gate for each pixel", layer)
    return pair


def _whole_only(what: str, layer: Any) -> ValueError:
    return ValueError(
        f"`tile` must be 0 for a network with {what}. "
        f"Received: {layer.name!r}, a {type(layer).__name__}"
    )
