"""How far the channels of a block differ in the images that activate them most."""

import dataclasses
from typing import Any

import numpy as np


@dataclasses.dataclass(frozen=True)
class Diversity:
    """How far channels differ in their top images, beside what chance would give.

    "By chance" is the expected value for channels whose top images are drawn from all images
    independently of each other. Lower diversity than by chance means that channels agree.

    Attributes:
        channels: number of channels that are compared, C.
        tied: number of channels left out because several images have their highest weight.
        images: number of images, N.
        k: number of top images of each channel.
        distinct: number of distinct images among the C top-1 images.
        distinct_by_chance: ``N · (1 − (1 − 1/N)^C)``.
        overlap: share of its k top images that a channel has in common with another one,
            ``|A ∩ B| / k``, mean over all pairs of channels; 0 where there is no pair.
        overlap_by_chance: ``k / N``.
    """

    channels: int
    tied: int
    images: int
    k: int
    distinct: int
    distinct_by_chance: float
    overlap: float
    overlap_by_chance: float

    @property
    def distinct_share(self) -> float:
        """``distinct`` as a share of the channels; 0 where there are none."""
        return self.distinct / self.channels if self.channels else 0.0

    @property
    def distinct_share_by_chance(self) -> float:
        """``distinct_by_chance`` as a share of the channels; 0 where there are none."""
        return self.distinct_by_chance / self.channels if self.channels else 0.0

    def to_dict(self) -> dict[str, Any]:
        """All numbers, floats to six decimals."""
        numbers = {
            **dataclasses.asdict(self),
            "distinct_share": self.distinct_share,
            "distinct_share_by_chance": self.distinct_share_by_chance,
        }
        return {
            name: round(value, 6) if isinstance(value, float) else value
            for name, value in numbers.items()
        }


def diversity(indices: np.ndarray, tied: np.ndarray, images: int) -> Diversity:
    """Compare the top images of channels.

    Args:
        indices: integers (C, k) below ``images``, the k top images of each channel, no image twice
            in a row.
        tied: bool (C,), channels to leave out.
        images: number of images that the indices were chosen from.
    """
    compared = indices[~tied]
    channels, k = len(compared), indices.shape[1]
    return Diversity(
        channels=channels,
        tied=int(tied.sum()),
        images=images,
        k=k,
        distinct=len(np.unique(compared[:, 0])),
        distinct_by_chance=images * (1 - (1 - 1 / images) ** channels),
        overlap=_overlap(compared),
        overlap_by_chance=k / images,
    )


def _overlap(indices: np.ndarray) -> float:
    """Mean of |A ∩ B| / k over pairs: an image in m rows is common to m (m − 1) / 2 pairs."""
    channels, k = indices.shape
    if channels < 2:
        return 0.0
    _, rows = np.unique(indices, return_counts=True)
    return float((rows * (rows - 1)).sum() / (channels * (channels - 1) * k))
