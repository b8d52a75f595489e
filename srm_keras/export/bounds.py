"""What an exported file is held to, by the kind of its outputs."""

import math
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

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
        model: A functional model with one output.
        samples: Inputs.
        outputs: What ``model`` computes for them.
        named: Whether the outputs are scores of classes that have names.
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


TOLERANCE = 1e-5
GREY_LEVELS = 0.25
"""What nobody sees, and 8 bits do not hold."""
ORDINARY = 1e-2
"""Outputs that are all smaller are held to a part of the largest, not to an absolute error."""
WORST_DB = 15.0
"""How much less of a ratio the worst sample may have than all together."""


@dataclass(frozen=True)
class Bound:
    """What an exported file is held to; a limit that is None is not checked.

    Attributes:
        max_error: Largest difference of an output, see ``Parity.allowed_error``.
        min_snr_db: Smallest signal-to-noise ratio in dB, see ``Parity.snr_db``.
        min_worst_db: The same of the worst sample, see ``Parity.worst_db``.
        min_top1_agreement: Smallest share of samples with the same largest output, where that is
            the network's answer. One sample may always differ, unless this is 1.
        max_grey_levels: Largest difference of pictures, of 255; for them it stands in place of all
            others.
    """

    max_error: float | None = None
    min_snr_db: float | None = None
    min_worst_db: float | None = None
    min_top1_agreement: float | None = None
    max_grey_levels: float | None = None

    def of(self, kind: Kind) -> "Bound":
        """The limits that apply to outputs of this kind."""
        if kind is Kind.PICTURES and self.max_grey_levels is not None:
            return Bound(max_grey_levels=self.max_grey_levels)
        agreement = self.min_top1_agreement if kind.has_winner else None
        return replace(self, min_top1_agreement=agreement, max_grey_levels=None)


def exact_bound(tolerance: Any) -> Bound:
    """What files that compute in float32 are held to.

    Args:
        tolerance: ``Bound.max_error``; None: 10⁻⁵, or of pictures a quarter of a grey level.

    Raises:
        ValueError: ``tolerance`` is not a number of at least 0.
    """
    if tolerance is None:
        return Bound(max_error=TOLERANCE, max_grey_levels=GREY_LEVELS)
    if not (_is_number(tolerance) and tolerance >= 0):
        raise ValueError(
            f"`tolerance` must be a number of at least 0. Received: tolerance={tolerance!r}"
        )
    return Bound(max_error=tolerance)


def lossy_bound(min_snr_db: Any, max_grey_levels: float | None = None) -> Bound:
    """What files of lower precision are held to: all limits follow from one ratio.

    The worst sample may have 15 dB less. Of answers as large a share may change as the errors are
    of the signal: 10 % at 20 dB, 1 % at 40 dB.

    Args:
        min_snr_db: ``Bound.min_snr_db``.
        max_grey_levels: Of pictures, if these are to be held to that instead.

    Raises:
        ValueError: ``min_snr_db`` is not a number.
    """
    if not _is_number(min_snr_db):
        raise ValueError(f"`min_snr_db` must be a number. Received: min_snr_db={min_snr_db!r}")
    return Bound(
        min_snr_db=min_snr_db,
        min_worst_db=min_snr_db - WORST_DB,
        min_top1_agreement=1 - amplitude(-min_snr_db),
        max_grey_levels=max_grey_levels,
    )


def amplitude(decibels: float) -> float:
    """How many times as large an amplitude is that is ``decibels`` above another."""
    return 10.0 ** min(decibels / 20, 300.0)


def _is_number(value: Any) -> bool:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and not math.isnan(value)
