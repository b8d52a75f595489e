"""The parts of a network that a recipe can name: stages, modules, backbone and head."""

from collections.abc import Collection, Mapping

import keras

from srm_keras.layers import Recalibration
from srm_keras.validation import nearest

HEAD = "head"
BACKBONE = "backbone"
MODULES = "recalibration"


def weighted_layers(model: keras.Model) -> dict[str, keras.layers.Layer]:
    """The layers of `model` that have weights, by their names, from the input to the output."""
    return {layer.name: layer for layer in model.layers if layer.weights}


def head_of(model: keras.Model) -> str | None:
    """Name of the classifier, a dense layer behind all others with weights; None without one."""
    layers = weighted_layers(model)
    last = next(reversed(layers), None)
    return last if last is not None and isinstance(layers[last], keras.layers.Dense) else None


def parts_of(model: keras.Model) -> dict[str, tuple[str, ...]]:
    """For each layer with weights the parts that it belongs to, from the widest to the narrowest.

    The classifier is the `head`, all else the `backbone`. That consists of the stages `conv1`,
    `conv2`, … (what layers are called up to the first `_`); modules in them are `recalibration`.
    """
    head = head_of(model)
    return {
        name: (HEAD,) if name == head else _in_backbone(layer)
        for name, layer in weighted_layers(model).items()
    }


def freeze(model: keras.Model, names: Collection[str], new: Collection[str]) -> list[str]:
    """Freeze parts of `model`: their weights stay, their batch norms run in inference mode.

    Args:
        model: the network, not compiled.
        names: of parts.
        new: layers that stay trainable, since their weights are random.

    Returns:
        The names of the layers that are frozen.

    Raises:
        ValueError: there is no such part, all of it is new, or nothing is left to train.
    """
    parts = parts_of(model)
    _check_names("freeze", names, parts)
    frozen = [layer for layer in parts if layer not in new and set(parts[layer]) & set(names)]
    for name in names:
        if not any(name in parts[layer] for layer in frozen):
            raise ValueError(
                "`freeze` must name parts that `init` has weights for: new ones are to be trained. "
                f"Received: {name!r}, all of which is new"
            )
    for layer in frozen:
        model.get_layer(layer).trainable = False
    if not model.trainable_variables:
        raise ValueError(f"`freeze` must leave something to train. Received: freeze={names!r}")
    return frozen


def rate_factors(model: keras.Model, multipliers: Mapping[str, float]) -> dict[str, float]:
    """What the learning rate is multiplied by, for the path of each trainable variable.

    Where a variable belongs to several of the parts, the narrowest counts: `recalibration` before
    `conv2` before `backbone`. Variables of other parts are left out.

    Args:
        model: the network.
        multipliers: a factor for the names of parts.

    Raises:
        ValueError: there is no such part.
    """
    parts = parts_of(model)
    _check_names("learning_rate.multipliers", multipliers, parts)
    factors = {}
    for name, layer in weighted_layers(model).items():
        named = [part for part in parts[name] if part in multipliers]
        for variable in layer.trainable_variables if named else ():
            factors[variable.path] = float(multipliers[named[-1]])
    return factors


def _in_backbone(layer: keras.layers.Layer) -> tuple[str, ...]:
    stage = layer.name.split("_")[0]
    return (BACKBONE, stage, MODULES) if isinstance(layer, Recalibration) else (BACKBONE, stage)


def _check_names(field: str, names: Collection[str], parts: Mapping[str, tuple[str, ...]]) -> None:
    known = list(dict.fromkeys(part for of_layer in parts.values() for part in of_layer))
    for name in names:
        if name not in known:
            raise ValueError(
                f"`{field}` must name parts of the network, which are {', '.join(known)}. "
                f"Received: {name!r}{nearest(name, known)}"
            )
