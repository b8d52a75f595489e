"""Batch norm merged into the layers beside it."""

import keras

from srm_keras.export.folding.kernels import set_merged_weights
from srm_keras.export.folding.plan import FoldingPlan, folding_plan, plan_of_flat
from srm_keras.layers.state import copy_state
from srm_keras.models.flatten import flatten
from srm_keras.models.functional import copied, first_input, remade

__all__ = ["FoldingPlan", "fold", "folding_plan"]


def fold(model: keras.Model) -> keras.Model:
    """Return a copy of ``model`` for inference in which batch norm is merged into other layers.

    A convolution (plain, depthwise, separable, transposed; one to three dimensions) or dense layer
    whose output goes to one batch norm only takes it in: ``w′ = w·γ/√(v+ε)`` for each output
    channel, ``b′ = β + (b − m)·γ/√(v+ε)``, computed in float64. Where the layer before it cannot,
    the layer behind a batch norm takes it in if it is dense or a convolution that adds no border:
    ``w′ = w·γ/√(v+ε)`` for each input channel, ``b′ = b + Σ w·(β − m·γ/√(v+ε))``. Dropout between
    the two does not matter. Recalibration layers are replaced by ``Recalibration.folded()``. A
    batch norm that nothing can take in stays, and ``folding_plan`` says why; networks of this
    package have none (but see there for ``channels_first``).

    Args:
        model: a functional or a built Sequential model, which may contain such models: their
            layers stand in the result itself. It is not changed, and shares no weights with the
            result. Layers of any kind keep their names, but that the name of an inner model goes
            before that of its layer where the latter is taken.

    Returns:
        A functional, uncompiled model, ``trainable = False``, that computes what ``model`` computes
        at inference.

    Raises:
        ValueError: the model is subclassed with a ``call`` of its own or a Sequential of unknown
            input shape, or a layer cannot be made anew from its configuration.

    Example:
        >>> folded = srm_keras.export.fold(srm_keras.models.ResNet50(recalibration="srm"))
        >>> folded.save("resnet50_folded.keras")
    """
    flat = flatten(model)
    plan = plan_of_flat(flat)
    folded = _folded(flat, plan)
    folded.trainable = False
    return folded


def _folded(model: keras.Model, plan: FoldingPlan) -> keras.Model:
    gone = plan.merged.keys() | plan.merged_ahead.keys()
    changed = {*plan.merged.values(), *plan.merged_ahead.values()}

    def copy(layer):
        if layer.name in plan.recalibrations:
            return layer.folded()
        changes = {"use_bias": True} if layer.name in changed else {}
        return remade(layer, layer.name, **changes)

    def call(layer, *args, **kwargs):
        return first_input(layer, args, kwargs) if layer.name in gone else layer(*args, **kwargs)

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
