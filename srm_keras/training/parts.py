"""Parts of a network, by name: what a recipe's ``freeze`` and rate multipliers speak of."""

import fnmatch
from collections.abc import Collection, Mapping
from typing import Any

import keras

from srm_keras.layers import Recalibration
from srm_keras.models.head import head_of, weighted_layers
from srm_keras.models.surgery.functional import twin
from srm_keras.models.surgery.graph import Lineage, Node
from srm_keras.support.validation import nearest

HEAD = "head"
BACKBONE = "backbone"
MODULES = "recalibration"


def parts_of(model: keras.Model, patterns: Collection[str] = ()) -> dict[str, tuple[str, ...]]:
    """For each layer with weights the parts that it belongs to, from the widest to the narrowest.

    The classifier is the ``head``, all else the ``backbone``. That consists of the layers
    ``stride1``, ``stride2``, ``stride4``, …, whose feature maps are that many times smaller than
    the image; of what layers are called up to the first ``_`` (``conv1``, ``conv2``, …: the
    stages of a ResNet); and of ``recalibration``, the modules.

    Args:
        model: A functional network.
        patterns: Those with ``*``, ``?`` or ``[…]`` are parts as well: the layers whose names match
            as files do in a shell. They are narrower than stages, longer ones than shorter ones.
    """
    head, strides = head_of(model), _strides(model)
    matched = sorted(filter(_is_pattern, patterns), key=len)
    parts = {}
    for name, layer in weighted_layers(model).items():
        wide = (HEAD,) if name == head else (BACKBONE, f"stride{strides[name]}", _stage(name))
        found = [pattern for pattern in matched if fnmatch.fnmatchcase(name, pattern)]
        modules = [MODULES] if isinstance(layer, Recalibration) else []
        parts[name] = (*wide, *found, *modules)
    return parts


def _strides(model: keras.Model) -> dict[str, int]:
    """For each layer how many times smaller than the image the map is that it gives."""
    lineage = Lineage(twin(model))
    strides: dict[Node, int] = {}
    for node in lineage.order:
        before = max((strides[source] for source in lineage.calls[node].sources), default=1)
        strides[node] = before * _stride(lineage.layer(node))
    return {name: stride for (name, _), stride in strides.items()}


def _stride(layer: Any) -> int:
    steps = getattr(layer, "strides", 1)
    return int(max(steps) if isinstance(steps, tuple | list) else steps)


def _is_pattern(name: str) -> bool:
    return any(character in name for character in "*?[")


def _stage(name: str) -> str:
    return name.split("_")[0]


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
    parts = parts_of(model, names)
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
    ``block4*`` before ``conv2`` before ``stride4`` before ``backbone``. Variables of other parts
    are left out.

    Args:
        model: The network.
        multipliers: A factor for the names of parts.

    Raises:
        ValueError: There is no such part.
    """
    parts = parts_of(model, multipliers)
    _check_names("learning_rate.multipliers", multipliers, parts)
    factors = {}
    for name, layer in weighted_layers(model).items():
        named = [part for part in parts[name] if part in multipliers]
        for variable in layer.trainable_variables if named else ():
            factors[variable.path] = float(multipliers[named[-1]])
    return factors


def _check_names(field: str, names: Collection[str], parts: Mapping[str, tuple[str, ...]]) -> None:
    known = list(dict.fromkeys(part for of_layer in parts.values() for part in of_layer))
    for name in names:
        if name not in known:
            raise ValueError(
                f"`{field}` must name parts of the network, which are {', '.join(known)}, and "
                "patterns of layers' names, such as 'block4*'. "
                f"Received: {name!r}{nearest(name, known)}"
            )
