"""Recalibration modules put into any functional model."""

from collections.abc import Callable
from typing import Any

import keras

from srm_keras.models.functional import check_functional
from srm_keras.models.specs import NestedSpec
from srm_keras.models.surgery.modules import (
    SUFFIX,
    Module,
    is_module,
    is_scale,
    new_module,
    specs_of_places,
)
from srm_keras.models.surgery.places import Place, Where, find_places
from srm_keras.models.surgery.rebuild import rebuild
from srm_keras.validation import boolean


def insert_recalibration(
    model: keras.Model,
    spec: NestedSpec,
    where: Where = "block_ends",
    neutral: bool = False,
    name: str | None = None,
) -> keras.Model:
    """Return a copy of ``model`` with a recalibration module behind each chosen layer.

    Whatever takes the output of a chosen layer takes the recalibrated one, an output of the model
    too. A module is called ``<layer>_recalibration``. It takes over the dtype policy of the layer
    and the data format of the network, and is trainable where the layer is not. A layer that is
    called several times has one module, called as often. Models inside of ``model`` stay models.

    Args:
        model: a functional or a built Sequential model, of this package, of
            ``keras.applications`` or any other. It is not changed, and shares no weights with the
            result.
        spec: what ``srm_keras.layers.recalibration`` takes, or a list of that with an entry for
            each place, in the order of the network; None for no module.
        where: ``"block_ends"``: before each residual addition, on the branch and behind its last
            layer but dropout, stochastic depth and layer scale; behind each cell of a network of
            cells (NASNet); where there are neither, before each spatial reduction and the head.
            ``"existing_se"``: in the place of each squeeze-and-excitation block that is written in
            stock layers (EfficientNet, MobileNetV3), which are left out. A function of a layer
            that returns whether it is chosen. A list of names of layers; one in an inner model
            may be called ``"inner/layer"``.
        neutral: whether the result computes what ``model`` computes until it is trained: all gates
            start at ½ and a constant factor of 2 behind each module makes up for it (4 for CBAM).
        name: of the result; by default that of ``model``.

    Returns:
        A functional model, not compiled.

    Raises:
        ValueError: ``model`` is subclassed with a ``call`` of its own or has a layer that cannot
            be made anew from its configuration; ``where`` chooses no layer, an unknown one, one
            with another output than a feature map, or one that has a module; ``neutral`` is asked
            where squeeze-and-excitation is replaced or of a module that cannot be; a global
            Gather-Excite with weights meets a map of unknown size.

    Example:
        >>> base = keras.applications.ResNet50(weights="imagenet")
        >>> model = srm_keras.models.insert_recalibration(base, "srm", neutral=True)
    """
    check_functional(model)
    boolean("neutral", neutral)
    places = find_places(model, where)
    for place in places:
        _check(place, neutral)
    specs = specs_of_places(spec, [place.path for place in places])
    modules = {
        id(place.layer): module
        for place, one in zip(places, specs, strict=True)
        if (module := _module(one, place, neutral)) is not None
    }
    changes = {
        id(place.layer): _change(modules[id(place.layer)], place.replaced_input)
        for place in places
        if id(place.layer) in modules
    }
    result = rebuild(model, changes, name)
    for module in modules.values():
        module.start()
    return result


def _module(spec: Any, place: Place, neutral: bool) -> Module | None:
    name = f"{place.layer.name}{SUFFIX}"
    return new_module(spec, name, place.layer, place.data_format, neutral)


def _change(module: Module, replaced_input: int | None) -> Callable[[Any], Any]:
    """What to call for a copied layer: it and the module, or the module alone on that input."""
    if replaced_input is None:
        return lambda layer: lambda *args, **kwargs: module(layer(*args, **kwargs))

    def call(*args: Any, **kwargs: Any) -> Any:
        leaves = keras.tree.flatten((args, kwargs))
        return module(
            [leaf for leaf in leaves if keras.utils.is_keras_tensor(leaf)][replaced_input]
        )

    return lambda layer: call


def _check(place: Place, neutral: bool) -> None:
    """Raise ``ValueError`` where no module can go."""
    layer = place.layer
    if isinstance(layer, keras.layers.InputLayer):
        raise ValueError(f"`where` must not choose an input of the model. Received: {place.path!r}")
    if is_module(layer) or is_scale(layer) or f"{layer.name}{SUFFIX}" in place.lineage.operations:
        raise ValueError(
            f"`where` must not choose a layer that has a recalibration module or is one; "
            f"replace_recalibration exchanges them. Received: {place.path!r}"
        )
    if not keras.utils.is_keras_tensor(layer.output) or len(layer.output.shape) != 4:
        shapes = keras.tree.map_structure(lambda x: tuple(x.shape), layer.output)
        raise ValueError(
            "`where` must choose layers whose output is one 4-D feature map. "
            f"Received: {place.path!r}, a {type(layer).__name__} with output {shapes}"
        )
    if neutral and place.replaced_input is not None:
        raise ValueError(
            "`neutral` must be False for where='existing_se': what is replaced was trained and "
            f"computes something else. Received: neutral=True and {place.path!r}"
        )
