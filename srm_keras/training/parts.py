"""Parts of a network, by name: what a recipe's ``freeze`` and rate multipliers speak of."""

from collections.abc import Collection, Mapping

import keras

from srm_keras.layers import Recalibration
from srm_keras.models.head import head_of, weighted_layers
from srm_keras.support.validation import nearest

HEAD = "head"
BACKBONE = "backbone"
MODULES = "recalibration"


def parts_of(model: keras.Model) -> dict[str, tuple[str, ...]]:
    """For each layer with weights the parts that it belongs to, from the widest to the narrowest.

    The classifier is the ``head``, all else the ``backbone``. That consists of the stages
    ``conv1``, ``conv2``, … (what layers are called up to the first ``_``); modules in them are
    ``recalibration``.
    """
    head = head_of(model)
    return {
        name: (HEAD,) if name == head else _in_backbone(layer)
        for name, layer in weighted_layers(model).items()
    }


def freeze(model: keras.Model, names: Collection[str], new: Collection[str]) -> list[str]:
    """Freeze parts of ``model``: their weights stay, their batch norms run in inference mode.

    Args:
        model: The network, not compiled.
        names: Of parts.
        new: Layers that stay trainable, since their weights are random.

    Returns:
        The names of the layers that are frozen.

    Raises:
        ValueError: There is no such part, all of it is new, or nothing is left to train.
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

    Where a variable belongs to several of the parts, the narrowest counts: ``recalibration`` before
    ``conv2`` before ``backbone``. Variables of other parts are left out.

    Args:
        model: The network.
        multipliers: A factor for the names of parts.

    Raises:
        ValueError: There is no such part.
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
