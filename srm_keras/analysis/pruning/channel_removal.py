"""Networks whose residual branches have fewer channels than their shortcuts."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
from keras import layers

from srm_keras.analysis.gates.reading import recalibration_layers
from srm_keras.analysis.pruning.branch_ends import BranchEnd, branch_end
from srm_keras.layers.data_format import feature_shape
from srm_keras.models.functional import copy_weights, new_inputs
from srm_keras.validation import one_of


def without_channels(
    model: keras.Model, kept: Mapping[str, Sequence[int] | np.ndarray]
) -> keras.Model:
    """Return a copy of ``model`` whose residual branches compute these channels alone.

    Of the last convolution of a branch only the filters of ``kept`` are left, of its batch norm
    their entries, and of the module what ``Recalibration.restricted`` makes of it. A 1×1
    convolution with a single 1 for each channel (``…_scatter``, not trainable) puts the channels
    where the shortcut has them; to the others nothing is added. Where nothing is kept the branch is
    gone and the shortcut passes. What is inside of the branch stays as it was: it has no gates.

    Args:
        model: a functional model of which every layer is called once. Not changed.
        kept: ascending positions of channels for recalibration layers, by name; layers that are
            not named keep all of theirs.

    Returns:
        An uncompiled functional model that shares no weights with ``model``.

    Raises:
        ValueError: a name is none of a recalibration layer; the branch does not end in a
            convolution, perhaps a batch norm, the module and an addition; or the module has no form
            for these channels.
    """
    modules = {module.name: module for module in recalibration_layers(model)}
    smaller: dict[str, tuple[BranchEnd, np.ndarray]] = {}
    for name, channels in kept.items():
        end = branch_end(model, modules[one_of("kept", name, modules)])
        if len(channels) < end.channels:
            smaller[name] = end, np.asarray(channels, int)
    surgery = _Surgery(smaller)
    result = keras.models.clone_model(model, new_inputs(model), surgery.copy, surgery.call)
    for layer in result.layers:
        surgery.set_weights(layer, model)
    return result


class _Surgery:
    """Copies the layers of a model, those at the ends of some branches for fewer channels."""

    def __init__(self, smaller: Mapping[str, tuple[BranchEnd, np.ndarray]]):
        self.scattered = {name: pair for name, pair in smaller.items() if len(pair[1])}
        self.made: set[str] = set()
        self.kept: dict[str, np.ndarray] = {}
        for end, channels in self.scattered.values():
            self.kept |= {layer.name: channels for layer in (end.conv, end.bn) if layer}
        gone = [end for end, channels in smaller.values() if not len(channels)]
        self.shortcuts = {end.add.name: end.shortcut for end in gone}

    def copy(self, layer: layers.Layer) -> layers.Layer:
        """The layer for the new model, a module with its weights, the others without."""
        if layer.name in self.scattered:
            return layer.restricted(self.scattered[layer.name][1])
        config = layer.get_config()
        if layer.name in self.kept and isinstance(layer, layers.Conv2D):
            config["filters"] = len(self.kept[layer.name])
        return type(layer).from_config(config)

    def call(self, layer: layers.Layer, *args: Any, **kwargs: Any) -> Any:
        """Its call in the new model, with the scatter after a module."""
        if layer.name in self.shortcuts:
            return args[0][self.shortcuts[layer.name]]
        output = layer(*args, **kwargs)
        if layer.name not in self.scattered:
            return output
        end, channels = self.scattered[layer.name]
        scatter = _scatter(end, channels)
        self.made.add(scatter.name)
        return scatter(output)

    def set_weights(self, layer: layers.Layer, model: keras.Model) -> None:
        """Give a layer of the new model the weights that are left of its own."""
        if layer.name in self.scattered or layer.name in self.made or not layer.weights:
            return
        source = model.get_layer(layer.name)
        if layer.name in self.kept:
            kept = self.kept[layer.name]
            layer.set_weights([weight[..., kept] for weight in source.get_weights()])
        else:
            copy_weights(source, layer)


def _scatter(end: BranchEnd, channels: np.ndarray) -> layers.Conv2D:
    """A 1×1 convolution from the channels that are left to all of them."""
    data_format = end.module.data_format
    conv = layers.Conv2D(
        end.channels,
        1,
        use_bias=False,
        data_format=data_format,
        trainable=False,
        dtype=end.module.dtype_policy,
        name=f"{end.module.name}_scatter",
    )
    conv.build(feature_shape(len(channels), data_format))
    kernel = np.zeros((1, 1, len(channels), end.channels), "float32")
    kernel[0, 0, np.arange(len(channels)), channels] = 1
    conv.set_weights([kernel])
    return conv
