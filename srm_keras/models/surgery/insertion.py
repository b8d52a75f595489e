"""Recalibration modules put into any functional model.

The layer before a module's sigmoid starts at zero, so that all its gates are σ(0) = ½ whatever the
image is; a constant factor of 2 behind the module makes up for it (4 for CBAM, whose gate is the
product of two). Both are powers of two: the result is equal to the last bit. The layer that starts
at zero receives gradients from the first step on, those before it from the second.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
from keras import ops

from srm_keras.layers import (
    CBAM,
    ECA,
    SRM,
    GatherExcite,
    Recalibration,
    Spec,
    SqueezeExcite,
    recalibration,
)
from srm_keras.layers.conventions import dtype_policy
from srm_keras.models.residual import NestedSpec
from srm_keras.models.surgery.functional import check_functional, rebuild
from srm_keras.models.surgery.places import Place, Where, find_places
from srm_keras.support.validation import boolean


def check_neutral(module: keras.layers.Layer) -> None:
    """Raise ``ValueError`` unless it is known how this module starts neutral."""
    if type(module) not in _LAST:
        known = sorted(kind.__name__ for kind in _LAST)
        raise ValueError(
            f"`neutral` must be False for modules other than {known}, of which it is not known "
            f"how to make them start neutral. Received: {module.name!r}, a {type(module).__name__}"
        )
    if isinstance(module, GatherExcite) and module.params == "theta_minus":
        raise ValueError(
            "`neutral` must be False for GatherExcite(params='theta_minus'), which has no weights "
            f"that could start at zero. Received: {module.name!r}"
        )


def neutral_scale(module: keras.layers.Layer) -> float:
    """The inverse of the gates with which a neutral module starts."""
    return 4.0 if isinstance(module, CBAM) else 2.0


def start_neutral(module: keras.layers.Layer) -> None:
    """Set to zero what comes last before the sigmoid of a built module."""
    for layer in _LAST[type(module)](module):
        is_bn = isinstance(layer, keras.layers.BatchNormalization)
        for variable in (layer.gamma, layer.beta) if is_bn else layer.weights:
            variable.assign(ops.zeros(variable.shape))


def _last_of_srm(module: SRM) -> list[keras.layers.Layer]:
    # A batch norm behind it, new as it is, maps zeros to zeros.
    return [module.encoder if module.integration == "cfc" else module.encoder.expand]


def _last_of_gather_excite(module: GatherExcite) -> list[keras.layers.Layer]:
    return (module.pointwise or module.bns or module.depthwise)[-1:]


_LAST: dict[type, Callable[[Any], list[keras.layers.Layer]]] = {
    CBAM: lambda module: [module.mlp.expand, module.conv],
    ECA: lambda module: [module.conv],
    GatherExcite: _last_of_gather_excite,
    SRM: _last_of_srm,
    SqueezeExcite: lambda module: [module.mlp.expand],
}


SUFFIX = "_recalibration"
SCALE_SUFFIX = "_scale"


@dataclass(frozen=True)
class Module:
    """A new recalibration layer and, where it starts neutral, what makes up for its gates.

    Attributes:
        layer: Called on the feature map; built by the first call.
        scale: Called on what comes out of it, or None.
    """

    layer: keras.layers.Layer
    scale: keras.layers.Layer | None

    def __call__(self, inputs: Any) -> Any:
        outputs = self.layer(inputs)
        return self.scale(outputs) if self.scale is not None else outputs

    def start(self) -> None:
        """Set the weights that a neutral start asks for, once the layer is built."""
        if self.scale is not None:
            start_neutral(self.layer)


def new_module(
    spec: Spec, name: str, like: Any, data_format: str, neutral: bool = False
) -> Module | None:
    """Return a module of the dtype policy of the layer ``like``, or None where ``spec`` is None.

    Raises:
        ValueError: The spec is none, or ``neutral`` is asked of a module that cannot be.
    """
    # Operations, such as that behind x + y, have none.
    with dtype_policy(getattr(like, "dtype_policy", keras.config.dtype_policy())):
        layer = recalibration(spec, name=name, data_format=data_format)
        if layer is None:
            return None
        if not neutral:
            return Module(layer, None)
        check_neutral(layer)
        scale = keras.layers.Rescaling(neutral_scale(layer), name=f"{layer.name}{SCALE_SUFFIX}")
    return Module(layer, scale)


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
    """Whether this is what makes up for the gates of a module that started neutral."""
    ending = f"{SUFFIX}{SCALE_SUFFIX}"
    return isinstance(layer, keras.layers.Rescaling) and layer.name.endswith(ending)


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
        neutral: Whether the result computes what ``model`` computes until it is trained: all gates
            start at ½ and a constant factor of 2 behind each module makes up for it (4 for CBAM).
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
