"""Batch norm merged into the layers beside it, and why some is left alone."""

from dataclasses import dataclass

import keras
from keras import layers

from srm_keras.export.folding.kernels import KERNELS, own_weights, set_merged_weights
from srm_keras.layers import Recalibration
from srm_keras.layers.conventions import channel_axis
from srm_keras.layers.dropping import Dropout, StochasticDepth
from srm_keras.layers.state import copy_state
from srm_keras.models.flatten import flatten
from srm_keras.models.surgery.functional import copied, first_input, remade
from srm_keras.models.surgery.graph import Graph, freeze, read_graph

# At inference these return what they get.
_IDENTITIES = (
    layers.ActivityRegularization,
    layers.AlphaDropout,
    layers.Dropout,
    layers.GaussianDropout,
    layers.GaussianNoise,
    layers.Identity,
    layers.SpatialDropout1D,
    layers.SpatialDropout2D,
    layers.SpatialDropout3D,
    Dropout,
    StochasticDepth,
)


@dataclass(frozen=True)
class FoldingPlan:
    """What ``fold`` does to a model.

    Attributes:
        merged: For each batch norm that goes into the layer before it, the name of that layer.
        merged_ahead: The same for the layer behind the batch norm.
        kept: For each batch norm that stays, the reason. One inside of a layer that is no model
            is called ``layer/batch norm``.
        recalibrations: Names of the recalibration layers that are replaced by their folded copy.
    """

    merged: dict[str, str]
    merged_ahead: dict[str, str]
    kept: dict[str, str]
    recalibrations: tuple[str, ...]


def folding_plan(model: keras.Model) -> FoldingPlan:
    """Return what ``fold(model)`` merges, and which batch norms it keeps for which reason.

    One reason is a defect of Keras 3.15: on TensorFlow it adds the bias of a ``channels_first``
    convolution along the width where the width equals the number of channels. A convolution
    without bias stays as it is there, and its batch norm as well.

    Raises:
        ValueError: As for ``fold``.
    """
    return plan_of_flat(flatten(model))


def plan_of_flat(model: keras.Model) -> FoldingPlan:
    """``folding_plan`` of a model that contains no other."""
    finder = _Finder(model)
    merged, merged_ahead, kept, recalibrations = {}, {}, {}, []
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            before, why_not_before = finder.layer_before(layer)
            behind, why_not_behind = finder.layer_behind(layer)
            if before:
                merged[layer.name] = before
            elif behind:
                merged_ahead[layer.name] = behind
            else:
                kept[layer.name] = "; ".join(filter(None, (why_not_before, why_not_behind)))
        elif isinstance(layer, Recalibration) and finder.plain(layer.name):
            recalibrations.append(layer.name)
            kept.update(_inside(layer.folded(), "does not merge it"))
        else:
            kept.update(_inside(layer, "is taken as a whole"))
    return FoldingPlan(merged, merged_ahead, kept, tuple(recalibrations))


def _inside(layer: layers.Layer, reason: str) -> dict[str, str]:
    """The batch norms among the layers that ``layer`` owns, with the reason why they stay."""
    paths = [variable.path.split("/") for variable in layer.variables]
    return {
        f"{layer.name}/{path[-2]}": f"it is inside of {layer.name!r}, a {type(layer).__name__}, "
        f"which {reason}"
        for path in paths
        if path[-1] == "moving_mean"
    }


class _Finder:
    """Finds for a batch norm the layers that can take it in, or the reasons why they cannot."""

    def __init__(self, model: keras.Model):
        self.graph: Graph = read_graph(model)
        self.layers = {layer.name: layer for layer in model.layers}

    def plain(self, name: str) -> bool:
        """Whether a layer is always called as at inference, with nothing but a tensor."""
        return all(call.plain for call in self.graph.calls[name])

    def layer_before(self, bn: layers.BatchNormalization) -> tuple[str | None, str]:
        """The name of the layer before ``bn`` that can take it in, or None and the reason."""
        reason = self._not_simple(bn)
        if reason:
            return None, reason
        (call,) = self.graph.calls[bn.name]
        name = self._source(call.inputs[0])
        reason = self._no_kernel_before(name) or _axis_obstacle(
            bn, self.layers[name], call.shapes[0]
        )
        return (None, reason) if reason else (name, "")

    def layer_behind(self, bn: layers.BatchNormalization) -> tuple[str | None, str]:
        """The name of the layer behind ``bn`` that can take it in, or None and the reason."""
        if self._not_simple(bn):
            return None, ""
        name = self._target(bn.name)
        if name is None:
            return None, ""
        layer = self.layers.get(name)
        kernel = KERNELS.get(type(layer))
        if kernel is None or kernel.input_axis is None:
            return None, f"nor can {name!r} behind it"
        (call, *more) = self.graph.calls[name]
        axis = bn.axis % len(self.graph.calls[bn.name][0].shapes[0])
        reason = (
            f"and {name!r} behind it is called more than once or with more than one tensor"
            if more or not call.plain or len(call.inputs) > 1
            else _behind_obstacle(layer, axis == len(call.shapes[0]) - 1)
        )
        return (None, reason) if reason else (name, "")

    def _not_simple(self, bn: layers.BatchNormalization) -> str:
        calls = self.graph.calls[bn.name]
        if type(bn) is not layers.BatchNormalization:
            return f"it is a {type(bn).__name__}, which may compute something else"
        if len(calls) > 1:
            return "it is called more than once"
        if not calls[0].plain or len(calls[0].inputs) > 1:
            return "it is called in training mode or with a mask"
        return ""

    def _no_kernel_before(self, name: str) -> str:
        layer = self.layers.get(name)
        if layer is None or type(layer) not in KERNELS:
            return f"its input {name!r} is no layer that can take it in"
        if len(self.graph.calls[name]) > 1:
            return f"{name!r} is called more than once"
        if self.graph.uses[name] > 1:
            return f"the output of {name!r} is used elsewhere too"
        if layer.activation is not keras.activations.linear:
            return f"{name!r} has an activation"
        return "" if own_weights(layer) else f"{name!r} is quantized or has LoRA weights"

    def _source(self, name: str) -> str:
        """The layer whose output arrives as that of ``name``, unchanged and used nowhere else."""
        while self._passes_on(name) and self.graph.uses[name] == 1:
            name = self.graph.calls[name][0].inputs[0]
        return name

    def _target(self, name: str) -> str | None:
        """The only layer that the output of ``name`` goes to, or None."""
        while True:
            readers = self.graph.readers[name]
            if len(readers) != 1 or self.graph.uses[name] != 1:
                return None
            (name,) = readers
            if not self._passes_on(name):
                return name

    def _passes_on(self, name: str) -> bool:
        calls = self.graph.calls[name]
        is_identity = type(self.layers.get(name)) in _IDENTITIES
        return is_identity and len(calls) == 1 and calls[0].plain


def _axis_obstacle(
    bn: layers.BatchNormalization, producer: layers.Layer, shape: tuple[int | None, ...]
) -> str:
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
    return ""


def _behind_obstacle(layer: layers.Layer, of_last_axis: bool) -> str:
    """Why ``layer`` cannot take in a batch norm of its input."""
    if not of_last_axis or getattr(layer, "data_format", "channels_last") != "channels_last":
        return f"and {layer.name!r} behind it has its channels on another axis, or not last"
    if getattr(layer, "padding", "valid") != "valid" and max(layer.kernel_size) > 1:
        return f"and {layer.name!r} behind it pads with zeros, which are not normalized"
    if getattr(layer, "groups", 1) > 1:
        return f"and {layer.name!r} behind it has groups"
    if not own_weights(layer):
        return f"and {layer.name!r} behind it is quantized or has LoRA weights"
    return ""


def fold(model: keras.Model) -> keras.Model:
    """Return a copy of ``model`` for inference in which batch norm is merged into other layers.

    A convolution (plain, depthwise, separable, transposed; one to three dimensions) or dense layer
    whose output goes to one batch norm only takes it in: ``w′ = w·γ/√(v+ε)`` for each output
    channel, ``b′ = β + (b − m)·γ/√(v+ε)``, computed in float64. Where the layer before it cannot,
    the layer behind a batch norm takes it in if it is dense or a convolution that adds no border:
    ``w′ = w·γ/√(v+ε)`` for each input channel, ``b′ = b + Σ w·(β − m·γ/√(v+ε))``. Dropout between
    the two does not matter; that of this package, and ``StochasticDepth``, are left out.
    Recalibration layers are replaced by ``Recalibration.folded()``. A batch norm that nothing can
    take in stays, and ``folding_plan`` says why; networks of this package have none (but see there
    for ``channels_first``).

    Args:
        model: A functional or a built Sequential model, which may contain such models: their
            layers stand in the result itself. It is not changed, and shares no weights with the
            result. Layers of any kind keep their names, but that the name of an inner model goes
            before that of its layer where the latter is taken.

    Returns:
        A functional, uncompiled model that computes what ``model`` computes at inference, with
        ``trainable = False``, but in layers that are called with ``training=True``.

    Raises:
        ValueError: The model is subclassed with a ``call`` of its own or a Sequential of unknown
            input shape, or a layer cannot be made anew from its configuration.

    Example:
        >>> folded = srm_keras.export.fold(srm_keras.models.ResNet50(recalibration="srm"))
        >>> folded.save("resnet50_folded.keras")
    """
    return fold_with_plan(model)[0]


def fold_with_plan(model: keras.Model) -> tuple[keras.Model, FoldingPlan]:
    """``fold(model)`` and ``folding_plan(model)``, planned once."""
    flat = flatten(model)
    plan = plan_of_flat(flat)
    folded = _folded(flat, plan)
    freeze(folded)
    return folded, plan


def _folded(model: keras.Model, plan: FoldingPlan) -> keras.Model:
    gone = plan.merged.keys() | plan.merged_ahead.keys()
    changed = {*plan.merged.values(), *plan.merged_ahead.values()}

    def copy(layer):
        if layer.name in plan.recalibrations:
            return layer.folded()
        changes = {"use_bias": True} if layer.name in changed else {}
        return remade(layer, layer.name, **changes)

    def call(layer, *args, **kwargs):
        drops_nothing = isinstance(layer, Dropout) and not kwargs.get("training")
        if layer.name in gone or drops_nothing:
            return first_input(layer, args, kwargs)
        return layer(*args, **kwargs)

    behind = {layer: bn for bn, layer in plan.merged.items()}
    ahead = {layer: bn for bn, layer in plan.merged_ahead.items()}
    batch_norms = {name: model.get_layer(name) for name in gone}

    def state(source, copy):
        name = source.name
        if name in changed:
            bns = (batch_norms.get(bns.get(name, "")) for bns in (ahead, behind))
            set_merged_weights(copy, source, *bns)
        elif name not in plan.recalibrations:  # Their folded copies have their weights.
            copy_state(source, copy)

    return copied(model, copy, call, state=state)
