"""The parts of a classifier: a feature map in it, and its logits."""

from collections.abc import Mapping

import keras
import numpy as np

from srm_keras.layers.state import copy_state
from srm_keras.models.functional import check_functional
from srm_keras.validation import nearest

_PROBABILITIES = (keras.activations.softmax, keras.activations.sigmoid)


def logits(model: keras.Model):
    """Return the symbolic output of ``model`` before the softmax or sigmoid that it may end in.

    Raises:
        ValueError: the output does not come from the first call of a layer.
    """
    last = next((layer for layer in model.layers if _output(layer) is model.outputs[0]), None)
    if last is None:
        raise ValueError(
            "`model` must end in a layer, so that its logits can be told from probabilities. "
            f"Received: {model.name!r}, whose output comes from something else"
        )
    if isinstance(last, keras.layers.Softmax):
        return last.input
    if getattr(last, "activation", None) not in _PROBABILITIES:
        return last.output
    if isinstance(last, keras.layers.Activation):
        return last.input
    linear = type(last).from_config({**last.get_config(), "activation": "linear"})
    outputs = linear(last.input)
    copy_state(last, linear)
    return outputs


def layer_called(name: str | None, names: Mapping[str, str]) -> str | None:
    """Return the name in a flat model of the layer that is called ``name``; None for None.

    Args:
        name: a key of ``names``, or the last part of one of them alone.
        names: of ``flatten_named``.

    Raises:
        ValueError: no layer has this name, or several layers of inner models.
    """
    if name is None or name in names:
        return name if name is None else names[name]
    found = [path for path in names if path.rpartition("/")[2] == name]
    if len(found) > 1:
        raise ValueError(f"`layer` must say which {name!r} it means: one of {found}")
    if not found:
        raise ValueError(
            "`layer` must be the name of a layer of `model`. "
            f"Received: layer={name!r}{nearest(name, names)}"
        )
    return names[found[0]]


def feature_map(model: keras.Model, layer: str | None = None):
    """Return the symbolic output of a layer, 4-D.

    Args:
        model: a functional model.
        layer: its name; None for the last one whose output is a map of more than one place.

    Raises:
        ValueError: no layer has this name, its output is not 4-D, or none is.
    """
    layers = {
        each.name: each for each in model.layers if not isinstance(each, keras.layers.InputLayer)
    }
    maps = {name: _output(each) for name, each in layers.items() if _is_map(_output(each))}
    if layer is None:
        if not maps:
            raise ValueError(f"`model` must have a 4-D feature map. Received: {model.name!r}")
        large = [each for each in maps.values() if sorted(each.shape[1:], key=_size)[-2] != 1]
        return (large or list(maps.values()))[-1]
    if layer not in layers:
        raise ValueError(
            f"`layer` must be the name of a layer of {model.name!r}. "
            f"Received: layer={layer!r}{nearest(layer, maps)}"
        )
    if layer not in maps:
        raise ValueError(
            "`layer` must have one 4-D feature map as output. "
            f"Received: layer={layer!r} of class {type(layers[layer]).__name__}"
        )
    return maps[layer]


def check_classifier(model: keras.Model) -> None:
    """Raise ``ValueError`` unless ``model`` is functional, with one input and scores as output."""
    check_functional(model)
    if len(model.inputs) != 1 or len(model.outputs) != 1 or len(model.outputs[0].shape) != 2:
        shapes = [tuple(output.shape) for output in model.outputs]
        raise ValueError(
            "`model` must have one input and as output one vector of scores for each image. "
            f"Received: {model.name!r} with {len(model.inputs)} inputs and outputs of {shapes}"
        )


def check_images(model: keras.Model, images: np.ndarray) -> None:
    """Raise ``ValueError`` unless ``images`` are at least one input of ``model``."""
    expected = tuple(model.inputs[0].shape)
    shape = np.shape(images)
    fits = len(shape) == len(expected) and all(
        side is None or side == given for side, given in zip(expected[1:], shape[1:], strict=True)
    )
    if not fits or not shape[0]:
        raise ValueError(
            f"`images` must be at least one prepared image of {model.name!r}, which takes "
            f"{expected}. Received: shape {shape}"
        )


def _output(layer: keras.layers.Layer):
    """What the layer's first call returns; None for a layer that was not called symbolically."""
    try:
        return layer.output
    except (AttributeError, ValueError):
        return None


def _is_map(output) -> bool:
    return isinstance(output, keras.KerasTensor) and len(output.shape) == 4


def _size(side: int | None) -> float:
    return float("inf") if side is None else side
