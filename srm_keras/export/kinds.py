"""What the outputs of a network are, which decides how a difference between them is measured."""

from enum import StrEnum

import keras
import numpy as np

PICTURE_PEAK = 64
"""Outputs that reach no grey level as high are measured as values, not as pictures."""


class Kind(StrEnum):
    """What outputs are.

    - ``PROBABILITIES``: of a softmax along the last axis.
    - ``LOGITS``: what a caller says goes through a softmax.
    - ``SCORES``: one for each class that has a name, without a softmax.
    - ``PICTURES``: RGB of 0 to 255, made of RGB of 0 to 255 of the same size.
    - ``VALUES``: anything else: one score, independent scores, regression, features, maps.
    """

    PROBABILITIES = "probabilities"
    LOGITS = "logits"
    SCORES = "scores"
    PICTURES = "pictures"
    VALUES = "values"

    @property
    def centred(self) -> bool:
        """Whether a constant added to all outputs of a sample, or their logarithms, is nothing."""
        return self in (Kind.PROBABILITIES, Kind.LOGITS)

    @property
    def has_winner(self) -> bool:
        """Whether the largest output of a sample is the network's answer."""
        return self in (Kind.PROBABILITIES, Kind.LOGITS, Kind.SCORES)


def output_kind(
    model: keras.Model, samples: np.ndarray, outputs: np.ndarray, named: bool = False
) -> Kind:
    """What ``model`` makes of ``samples``.

    Its last activation decides where it is known, else whether the outputs sum to 1.

    Args:
        model: a functional model with one output.
        samples: inputs.
        outputs: what ``model`` computes for them.
        named: whether the outputs are scores of classes that have names.
    """
    activation = _last_activation(model)
    softmax = sum_to_one(outputs) if activation is None else activation == "softmax"
    if softmax and outputs.ndim > 1 and outputs.shape[-1] > 1:
        return Kind.PROBABILITIES
    if _are_pictures(samples, outputs):
        return Kind.PICTURES
    return Kind.SCORES if named and activation in (None, "linear") else Kind.VALUES


def sum_to_one(outputs: np.ndarray) -> bool:
    """Whether these are vectors, along the last axis, as a softmax makes them."""
    if outputs.ndim < 2 or outputs.shape[-1] < 2:
        return False
    return bool(outputs.min() >= 0 and np.allclose(outputs.sum(axis=-1), 1.0, atol=1e-2))


def _last_activation(model: keras.Model) -> str | None:
    """Name of the activation that makes the outputs; None where the last layer does not tell."""
    layer = model.layers[-1]
    if getattr(layer, "layers", None):
        return _last_activation(layer)
    if isinstance(layer, keras.layers.Softmax):
        rank = len(model.outputs[0].shape)
        return "softmax" if layer.axis in (-1, rank - 1) else None
    activation = getattr(layer, "activation", None)
    return getattr(activation, "__name__", None)


def _are_pictures(samples: np.ndarray, outputs: np.ndarray) -> bool:
    same = samples.shape == outputs.shape and outputs.ndim == 4 and outputs.shape[-1] == 3
    return bool(same and min(samples.max(), outputs.max()) >= PICTURE_PEAK)
