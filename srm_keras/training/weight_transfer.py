"""Weights of one network into another, layer by layer, by name."""

import json
from dataclasses import dataclass
from typing import Any

import keras

from srm_keras.layers import Recalibration
from srm_keras.layers.state import copy_state
from srm_keras.models.surgery.modules import SCALE_SUFFIX, is_scale
from srm_keras.training.parts import head_of, weighted_layers

_SHOWN = 6
# What makes no difference to the function of a layer that has its weights.
_OF_TRAINING = ("name", "trainable", "dtype", "momentum", "synchronized")
_ENDINGS = ("_initializer", "_regularizer", "_constraint")


@dataclass(frozen=True)
class Transfer:
    """What became of the layers with weights, by their names.

    Attributes:
        loaded: have the weights of the other network.
        new: have kept their own: modules that the other network has not, and the classifier where
            it is for other classes.
        unused: of the other network: modules that this one has not, and its classifier.
    """

    loaded: list[str]
    new: list[str]
    unused: list[str]


def transfer_weights(source: keras.Model, target: keras.Model, same_classes: bool) -> Transfer:
    """Give `target` the weights of the layers of `source` that have the same names.

    Modules may differ: one that `source` has not, or of another kind, stays new. So may the
    classifier. All other layers must be the same, and so must the factor behind a module that
    started neutral (`insert_recalibration`).

    Args:
        source: The trained network.
        target: The network that gets the weights; on failure it is as it was.
        same_classes: Whether the classifiers are for the same classes.

    Raises:
        ValueError: If a layer is missing, left over or another; they are listed.
    """
    theirs, ours = weighted_layers(source), weighted_layers(target)
    heads = head_of(source), head_of(target)
    loaded, new, problems = [], [], []
    for name, layer in ours.items():
        other = theirs.get(name)
        if _may_be_new(layer, other) or (name == heads[1] and not (same_classes and other)):
            new.append(name)
        elif difference := _difference(other, layer):
            problems.append(f"{name} {difference}")
        else:
            loaded.append(name)
    for name, layer in theirs.items():
        if name not in ours and name != heads[0] and not isinstance(layer, Recalibration):
            problems.append(f"{name} is in `init` alone")
    problems += [f"{name} is in `init` alone" for name in _scales(source, loaded, target)]
    if problems:
        raise ValueError(_told(problems))
    for name in loaded:
        copy_state(theirs[name], ours[name])
    return Transfer(loaded, new, [name for name in theirs if name not in loaded])


def _may_be_new(layer: keras.layers.Layer, other: keras.layers.Layer | None) -> bool:
    """Whether `layer` is a module and `other` is none, or of another kind."""
    return isinstance(layer, Recalibration) and type(other) is not type(layer)


def _scales(source: keras.Model, loaded: list[str], target: keras.Model) -> list[str]:
    """Factors behind the `loaded` modules of `source` that `target` has not."""
    ours = {layer.name for layer in target.layers}
    scales = [layer.name for layer in source.layers if is_scale(layer) and layer.name not in ours]
    return [name for name in scales if name.removesuffix(SCALE_SUFFIX) in loaded]


def _difference(other: keras.layers.Layer | None, layer: keras.layers.Layer) -> str:
    """What is different in the layer of `init`; empty if they compute the same."""
    if other is None:
        return "is not in `init`"
    if type(other) is not type(layer):
        return f"is a {type(other).__name__} in `init`, not a {type(layer).__name__}"
    shapes = [[tuple(w.shape) for w in each.weights] for each in (other, layer)]
    if shapes[0] != shapes[1]:
        return f"has the shapes {shapes[0]} in `init`, not {shapes[1]}"
    there, here = _function(other), _function(layer)
    for key in sorted(there.keys() | here.keys()):
        if there.get(key) != here.get(key):
            return f"has {key}={there.get(key)} in `init`, not {here.get(key)}"
    return ""


def _function(layer: keras.layers.Layer) -> dict[str, str]:
    """The configuration of a layer but for what only matters to training."""
    return {key: _text(value) for key, value in layer.get_config().items() if _matters(key)}


def _matters(key: str) -> bool:
    return key not in _OF_TRAINING and not key.endswith(_ENDINGS)


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True, default=str)


def _told(problems: list[str]) -> str:
    more = len(problems) - _SHOWN
    rest = [f"and {more} more layers"] if more > 0 else []
    return (
        "`init` must be of the network that the recipe builds, but for modules and classifier. "
        f"Received: another one: {'; '.join([*problems[:_SHOWN], *rest])}"
    )
