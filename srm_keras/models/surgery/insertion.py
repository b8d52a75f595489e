"""Recalibration modules put into any functional model.

In a neutral module the layer before the sigmoid starts at zero, so that all its gates are σ(0) = ½
whatever the image is; its gain of 2 makes up for it (4 for CBAM, whose gate is the product of
two). Both are powers of two: the result is equal to the last bit. The layer that starts at zero
receives gradients from the first step on, those before it from the second.
"""

from collections.abc import Callable
from typing import Any

import keras

from srm_keras.layers import Recalibration, Spec, neutral, recalibration
from srm_keras.layers.conventions import dtype_policy
from srm_keras.models.residual import NestedSpec
from srm_keras.models.surgery.functional import check_functional, rebuild
from srm_keras.models.surgery.places import Place, Where, find_places
from srm_keras.support.validation import boolean

SUFFIX = "_recalibration"
SCALE_SUFFIX = "_scale"


def new_module(
    spec: Spec, name: str, like: Any, data_format: str, is_neutral: bool = False
) -> keras.layers.Layer | None:
    """Return a module of the dtype policy of the layer ``like``, or None where ``spec`` is None.

    Raises:
        ValueError: The spec is none, or ``is_neutral`` is asked of a module that cannot be.
    """
    # Operations, such as that behind x + y, have none.
    with dtype_policy(getattr(like, "dtype_policy", keras.config.dtype_policy())):
        one = neutral(spec) if is_neutral else spec
        layer = recalibration(one, name=name, data_format=data_format)
    if is_neutral and layer is not None:
        _check_identity(layer)
    return layer


def _check_identity(layer: keras.layers.Layer) -> None:
    """Raise ``ValueError`` unless ``layer`` is a module that begins as the identity."""
    start = "of which it is not known how to start it"
    if isinstance(layer, Recalibration) and layer.can_start_neutral:
        if layer.neutral and layer.gain == layer.neutral_gain:
            return
        start = f"with gain={layer.gain} and neutral={layer.neutral}"
    raise ValueError(
        "`neutral` must be False for modules that do not begin as the identity. "
        f"Received: {layer.name!r}, a {type(layer).__name__} {start}"
    )


def specs_of_places(spec: Any, names: list[str]) -> list[Spec]:
    """Return a spec for each of the named places: the same for all, or a list's entries.

    Raises:
        ValueError: The list has another length.
    """
    if not isinstance(spec, list | tuple):
        return [spec] * len(names)
    if len(spec) != len(names):
        raise ValueError(
            f"`spec` must have an entry for each of the {len(names)} places where it is a list: "
            f"{', '.join(names)}. Received {len(spec)}: {spec!r}"
        )
    return list(spec)


def is_module(layer: Any) -> bool:
    """Whether this is a ``Recalibration``, or another layer that is called ``…_recalibration``."""
    return isinstance(layer, Recalibration) or (
        isinstance(layer, keras.layers.Layer) and layer.name.endswith(SUFFIX)
    )


def is_scale(layer: Any) -> bool:
    """Whether this is a factor behind a module, which started neutral so before it had a gain."""
    ending = f"{SUFFIX}{SCALE_SUFFIX}"
    if not isinstance(layer, keras.layers.Rescaling) or not layer.name.endswith(ending):
        return False
    return isinstance(layer.scale, int | float) and layer.offset == 0


def gains(model: keras.Model) -> dict[str, float]:
    """What each module of a flat network multiplies its gates by: its gain, and a factor behind it.

    By the module's name. Another layer that is called ``…_recalibration`` has the gain 1.
    """
    scales = {layer.name: layer.scale for layer in model.layers if is_scale(layer)}
    return {
        layer.name: getattr(layer, "gain", 1.0) * scales.get(f"{layer.name}{SCALE_SUFFIX}", 1.0)
        for layer in model.layers
        if is_module(layer)
    }


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
        model: A functional or a built Sequential model, of this package, of
            ``keras.applications`` or any other. It is not changed, and shares no weights with the
            result.
        spec: What ``srm_keras.layers.recalibration`` takes, or a list of that with an entry for
            each place, in the order of the network; None for no module.
        where: ``"block_ends"``: before each residual addition, on the branch and behind its last
            layer but dropout, stochastic depth and layer scale; behind each cell of a network of
            cells (NASNet); where there are neither, before each spatial reduction and the head.
            ``"existing_se"``: in the place of each squeeze-and-excitation block that is written in
            stock layers (EfficientNet, MobileNetV3), which are left out. A function of a layer
            that returns whether it is chosen. A list of names of layers; one in an inner model
            may be called ``"inner/layer"``.
        neutral: Whether the result computes what ``model`` computes until it is trained: the spec
            is ``srm_keras.layers.neutral(spec)``, with which all gates start at ½ and a gain of 2
            makes up for it (¼ and 4 for CBAM).
        name: Of the result; by default that of ``model``.

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
    return rebuild(model, changes, name)


def _module(spec: Any, place: Place, is_neutral: bool) -> keras.layers.Layer | None:
    name = f"{place.layer.name}{SUFFIX}"
    return new_module(spec, name, place.layer, place.data_format, is_neutral)


def _change(module: keras.layers.Layer, replaced_input: int | None) -> Callable[[Any], Any]:
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
