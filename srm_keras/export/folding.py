"""Batch norm merged into the layers before it."""

from dataclasses import dataclass

import keras
from keras import layers, ops

from srm_keras.export.graph import Graph, read_graph
from srm_keras.layers import Recalibration
from srm_keras.layers.batch_norm import inference_affine
from srm_keras.layers.data_format import channel_axis

# The layers that can take a batch norm in, and how many axes at the end of their kernel make up
# the output channels: a depthwise kernel is (h, w, channels, multiplier).
_OUTPUT_AXES = {layers.Conv2D: 1, layers.Dense: 1, layers.DepthwiseConv2D: 2}


@dataclass(frozen=True)
class FoldingPlan:
    """What ``fold`` does to a model.

    Attributes:
        merged: for each batch norm that goes, the name of the layer that takes it in.
        kept: for each batch norm that stays, the reason.
        recalibrations: names of the recalibration layers that are replaced by their folded copy.
    """

    merged: dict[str, str]
    kept: dict[str, str]
    recalibrations: tuple[str, ...]


def fold(model: keras.Model) -> keras.Model:
    """Return a copy of ``model`` for inference in which batch norm is merged into other layers.

    A convolution (depthwise convolution, dense layer) whose output goes to one batch norm only
    takes it in: ``w′ = w·γ/√(v+ε)`` for each output channel, ``b′ = β + (b − m)·γ/√(v+ε)``,
    computed in float64. Recalibration layers are replaced by ``Recalibration.folded()``. All layers
    keep their names. A batch norm that nothing can take in stays, and ``folding_plan`` says why;
    networks of this package have none (but see there for ``channels_first``).

    Args:
        model: a functional model. It is not changed, and shares no weights with the result.

    Returns:
        A functional, uncompiled model, ``trainable = False``, that computes what ``model`` computes
        at inference.

    Raises:
        ValueError: the model is not functional, or contains another model.

    Example:
        >>> folded = srm_keras.export.fold(srm_keras.models.ResNet50(recalibration="srm"))
        >>> folded.save("resnet50_folded.keras")
    """
    plan = folding_plan(model)
    clone = _clone(model, plan)
    _copy_weights(model, clone, plan)
    clone.trainable = False
    return clone


def folding_plan(model: keras.Model) -> FoldingPlan:
    """Return what ``fold(model)`` merges, and which batch norms it keeps for which reason.

    One reason is a defect of Keras 3.15: on TensorFlow it adds the bias of a ``channels_first``
    convolution along the width where the width equals the number of channels. A convolution
    without bias stays as it is there, and its batch norm as well.

    Raises:
        ValueError: the model is not functional, or contains another model.
    """
    graph = read_graph(model)
    by_name = {layer.name: layer for layer in model.layers}
    merged, kept = {}, {}
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            reason = _obstacle(layer, graph, by_name)
            if reason is None:
                merged[layer.name] = graph.calls[layer.name][0].inputs[0]
            else:
                kept[layer.name] = reason
    recalibrations = tuple(
        layer.name
        for layer in model.layers
        if isinstance(layer, Recalibration) and all(call.plain for call in graph.calls[layer.name])
    )
    return FoldingPlan(merged, kept, recalibrations)


def _obstacle(
    bn: layers.BatchNormalization, graph: Graph, by_name: dict[str, layers.Layer]
) -> str | None:
    """Why ``bn`` cannot be merged into the layer before it, or None where it can."""
    calls = graph.calls[bn.name]
    if type(bn) is not layers.BatchNormalization:
        return f"it is a {type(bn).__name__}, which may compute something else"
    if len(calls) > 1:
        return "it is called more than once"
    if not calls[0].plain or len(calls[0].inputs) > 1:
        return "it is called in training mode or with a mask"
    name = calls[0].inputs[0]
    producer = by_name.get(name)
    if producer is None or type(producer) not in _OUTPUT_AXES:
        return f"its input {name!r} is no layer that can take it in"
    if len(graph.calls[name]) > 1:
        return f"{name!r} is called more than once"
    if graph.uses[name] > 1:
        return f"the output of {name!r} is used elsewhere too"
    if producer.activation is not keras.activations.linear:
        return f"{name!r} has an activation"
    return _axis_obstacle(bn, producer, calls[0].shapes[0])


def _axis_obstacle(
    bn: layers.BatchNormalization, producer: layers.Layer, shape: tuple[int | None, ...]
) -> str | None:
    """Why a bias of ``producer``, whose output has that shape, cannot stand for ``bn``."""
    data_format = getattr(producer, "data_format", "channels_last")
    channels = channel_axis(data_format) % len(shape)
    if bn.axis % len(shape) != channels:
        return f"it normalizes axis {bn.axis}, which is not the channels of {producer.name!r}"
    if data_format == "channels_first" and shape[-1] in (None, shape[channels]):
        return (
            f"{producer.name!r} is channels_first and its output may be as wide as it has "
            "channels: there Keras on TensorFlow adds the bias along the width"
        )
    return None


def _clone(model: keras.Model, plan: FoldingPlan) -> keras.Model:
    """The folded graph; weights are those of the recalibration layers, else initial ones."""

    def copy(layer):
        if layer.name in plan.recalibrations:
            return layer.folded()
        config = layer.get_config()
        if layer.name in plan.merged.values():
            config["use_bias"] = True
        return type(layer).from_config(config)

    def call(layer, *args, **kwargs):
        return args[0] if layer.name in plan.merged else layer(*args, **kwargs)

    # A bare twin that shares all layers: a compiled model would compile its clone as well.
    twin = keras.Model(model.input, model.output, name=model.name)
    return keras.models.clone_model(twin, _new_inputs(model), copy, call)


def _new_inputs(model: keras.Model):
    """Inputs like those of ``model``, in the same structure, with the names of its input layers."""
    inputs = [layer for layer in model.layers if isinstance(layer, layers.InputLayer)]
    names = {id(layer.output): layer.name for layer in inputs}
    return keras.tree.map_structure(
        lambda x: keras.Input(batch_shape=x.shape, dtype=x.dtype, name=names[id(x)]), model.input
    )


def _copy_weights(model: keras.Model, clone: keras.Model, plan: FoldingPlan) -> None:
    batch_norms = {producer: bn for bn, producer in plan.merged.items()}
    for layer in clone.layers:
        source = model.get_layer(layer.name)
        if layer.name in batch_norms:
            layer.set_weights(_merged_weights(source, model.get_layer(batch_norms[layer.name])))
        elif layer.name not in plan.recalibrations:
            layer.set_weights(source.get_weights())


def _merged_weights(layer: layers.Layer, bn: layers.BatchNormalization) -> list:
    """Float64 kernel and bias of ``bn(layer(x))``."""
    scale, offset = inference_affine(bn)
    kernel = ops.convert_to_numpy(layer.kernel)
    bias = ops.convert_to_numpy(layer.bias) if layer.use_bias else 0.0
    scale_of_kernel = scale.reshape(kernel.shape[-_OUTPUT_AXES[type(layer)] :])
    return [kernel * scale_of_kernel, bias * scale + offset]
