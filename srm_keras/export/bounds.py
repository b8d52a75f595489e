"""What exported files are held to."""

import math
from dataclasses import dataclass, replace
from typing import Any

from srm_keras.export.kinds import Kind

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
        max_error: largest difference of an output, see ``Parity.allowed_error``.
        min_snr_db: smallest signal-to-noise ratio in dB, see ``Parity.snr_db``.
        min_worst_db: the same of the worst sample, see ``Parity.worst_db``.
        min_top1_agreement: smallest share of samples with the same largest output, where that is
            the network's answer. One sample may always differ, unless this is 1.
        max_grey_levels: largest difference of pictures, of 255; for them it stands in place of all
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
        max_grey_levels: of pictures, if these are to be held to that instead.

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
