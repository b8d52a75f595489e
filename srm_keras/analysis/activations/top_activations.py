"""The images that lead to the highest weight of each channel, and how far they differ."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import keras
import numpy as np

from srm_keras.analysis.gates.reading import channel_gates, select_blocks
from srm_keras.support.validation import positive_int


@dataclasses.dataclass(frozen=True)
class Diversity:
    """How far channels differ in their top images, beside what chance would give.

    "By chance" is the expected value for channels whose top images are drawn from all images
    independently of each other. Lower diversity than by chance means that channels agree.

    Attributes:
        channels: Number of channels that are compared, C.
        tied: Number of channels left out because several images have their highest weight.
        images: Number of images, N.
        k: Number of top images of each channel.
        distinct: Number of distinct images among the C top-1 images.
        distinct_by_chance: ``N · (1 − (1 − 1/N)^C)``.
        overlap: Share of its k top images that a channel has in common with another one,
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
        indices: Integers (C, k) below ``images``, the k top images of each channel, no image twice
            in a row.
        tied: bool (C,), channels to leave out.
        images: Number of images that the indices were chosen from.
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


RESOLUTION = 2.0**-20
"""Weights that are equal to a multiple of this count as equal: about 1e-6, the error of a float32
network. Otherwise the top image of a channel whose gate is the same for all of them would be
chosen by rounding errors."""


@dataclasses.dataclass(frozen=True, eq=False)
class BlockActivations:
    """The top images of the channels of one block.

    Attributes:
        images: Number of images that were looked at, N.
        indices: int64 (C, k), positions of the images among those N, the highest weight first.
        weights: float32 (C, k), the channel's weight on them, in multiples of ``RESOLUTION``.
        tied: bool (C,), whether several images have the channel's highest weight. Of equal weights
            the lower index comes first, so the top image of such a channel says nothing.
    """

    images: int
    indices: np.ndarray
    weights: np.ndarray
    tied: np.ndarray

    @property
    def diversity(self) -> Diversity:
        """How far channels differ in their top images; channels that are ``tied`` are left out."""
        return diversity(self.indices, self.tied, self.images)

    def to_rows(self) -> list[dict[str, Any]]:
        """One dict for each channel and rank, both counted from 0 and from 1."""
        channels, k = self.indices.shape
        return [
            {
                "channel": channel,
                "rank": rank + 1,
                "image": int(self.indices[channel, rank]),
                "weight": float(self.weights[channel, rank]),
            }
            for channel in range(channels)
            for rank in range(k)
        ]


@dataclasses.dataclass(frozen=True, eq=False)
class TopActivations:
    """The top images of the channels of a network.

    Attributes:
        images: Number of images that were looked at, N.
        blocks: By block name (``"conv2_1"``), in network order unless another was asked for.
    """

    images: int
    blocks: Mapping[str, BlockActivations]

    def to_rows(self) -> list[dict[str, Any]]:
        """One dict for each block, channel and rank, for CSV."""
        return [
            {"block": name, **row} for name, block in self.blocks.items() for row in block.to_rows()
        ]


def top_activations(
    model: keras.Model,
    batches: Iterable[np.ndarray],
    k: int = 1,
    blocks: Sequence[str] | None = None,
) -> TopActivations:
    """Find, for every channel, the k images with the highest channel weight.

    Weights are those of ``channel_gates``: where gates differ from pixel to pixel, their mean over
    the feature map. One pass over the images; memory grows with channels times k, not with the
    number of images.

    Args:
        model: A functional model that contains ``Recalibration`` layers.
        batches: Prepared images, (N, H, W, C) each, as the model takes them; N may vary.
        k: Number of images for each channel.
        blocks: Names of blocks (``"conv2_1"``) or of their recalibration layers; None for all.

    Returns:
        Positions and weights of the images, by block. Of equal weights the lower position comes
        first, so nothing depends on how the images were divided into batches.

    Raises:
        ValueError: The model is not functional or has no recalibration layer, ``k`` is not a
            positive integer or larger than the number of images, a block is unknown, there are no
            images, or a weight is not finite.

    Reference:
        Lee et al. 2019, section 5.3 and figs. 7 and 10.
    """
    k = positive_int("k", k)
    layers = select_blocks(model, blocks)
    tops = {name: _Top(k) for name in layers}
    images = 0
    for gates in channel_gates(model, batches):
        for name, layer in layers.items():
            tops[name].update(_checked(name, gates[layer]), images)
        images += len(next(iter(gates.values())))
    if k > images:
        raise ValueError(
            f"`k` must be at most the number of images in `batches`, {images}. Received: k={k}"
            if images
            else "`batches` must hold at least one image. Received: none"
        )
    return TopActivations(images, {name: top.result(images) for name, top in tops.items()})


def _checked(block: str, weights: np.ndarray) -> np.ndarray:
    """The weights, (N, C), in multiples of the resolution."""
    if not np.isfinite(weights).all():
        raise ValueError(
            f"`model` must give finite gates. Received: NaN or infinity in block {block!r}"
        )
    return (np.rint(weights / RESOLUTION) * RESOLUTION).astype("float32")


class _Top:
    """The k highest weights of each channel so far, and how many images have the highest."""

    def __init__(self, k: int) -> None:
        self._k = k
        self._weights = np.empty((0, 0), "float32")  # (C, at most k), highest first
        self._indices = np.empty((0, 0), "int64")
        self._highest = np.empty(0, "int64")  # (C,) images that have the highest weight

    def update(self, weights: np.ndarray, first: int) -> None:
        """Take in weights (N, C), of the images from number ``first`` on."""
        count, channels = weights.shape
        if not self._highest.size:
            self._weights = np.empty((channels, 0), "float32")
            self._indices = np.empty((channels, 0), "int64")
            self._highest = np.zeros(channels, "int64")
        before = self._weights[:, :1]
        numbers = np.broadcast_to(np.arange(first, first + count), (channels, count))
        candidates = np.concatenate([self._weights, weights.T], axis=1)
        indices = np.concatenate([self._indices, numbers], axis=1)
        # Equal weights stand in the order of their images, and a stable sort leaves them so.
        order = np.argsort(-candidates, axis=1, kind="stable")[:, : self._k]
        self._weights = np.take_along_axis(candidates, order, axis=1)
        self._indices = np.take_along_axis(indices, order, axis=1)
        highest = self._weights[:, :1]
        kept = np.where((before == highest).any(axis=1), self._highest, 0)
        self._highest = kept + (highest == weights.T).sum(axis=1)

    def result(self, images: int) -> BlockActivations:
        return BlockActivations(images, self._indices, self._weights, self._highest > 1)
