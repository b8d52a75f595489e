"""What the gates of a network are like: their size, their spread, how many are shut or open."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from srm_keras.analysis.gates.reading import block_name, channel_gates


class RunningMoments:
    """Mean and sum of squared deviations of every channel, over examples that come in batches.

    Batches are merged around their own means, in float64, so that nothing cancels where the mean
    is far larger than the spread (Chan, Golub & LeVeque 1983, "Algorithms for computing the sample
    variance", eq. 2.1). Memory is O(C).

    Attributes:
        count: Number of examples so far.
        mean: (C,) float64.
        scatter: (C,) float64, sums over examples of squared deviations from the mean.
    """

    def __init__(self) -> None:
        self.count = 0
        self.mean = np.zeros(())
        self.scatter = np.zeros(())

    def add(self, values: np.ndarray) -> None:
        """Take in a batch, (N, C)."""
        values = np.asarray(values, "float64")
        count = self.count + len(values)
        mean = values.mean(axis=0)
        shift = mean - self.mean
        between = self._scatter(shift[None]) * (self.count * len(values) / count)
        self.scatter = self.scatter + self._scatter(values - mean) + between
        self.mean = self.mean + shift * (len(values) / count)
        self.count = count

    @property
    def std(self) -> np.ndarray:
        """(C,) standard deviation over the examples (divided by their number)."""
        return np.sqrt(self._variances() / self.count)

    def _scatter(self, deviations: np.ndarray) -> np.ndarray:
        return np.square(deviations).sum(axis=0)

    def _variances(self) -> np.ndarray:
        return self.scatter


class RunningComoments(RunningMoments):
    """The same with all pairs of channels: ``scatter`` is (C, C), and so is the memory."""

    def _scatter(self, deviations: np.ndarray) -> np.ndarray:
        return deviations.T @ deviations

    def _variances(self) -> np.ndarray:
        return np.diagonal(self.scatter)


SHUT, OPEN = 0.05, 0.95
"""Gates below the first and above the second count as saturated."""


@dataclass(frozen=True)
class GateStatistics:
    """The channel weights of one block over a set of images.

    Attributes:
        block: Name of the block.
        images: Number of images.
        channel_means: (C,) float64, mean of each channel's weight over the images.
        channel_stds: (C,) float64, its standard deviation over the images (divided by their
            number).
        minimum, maximum: over all images and channels.
        shut: Share of all weights below ``SHUT``.
        open: Share of all weights above ``OPEN``.
    """

    block: str
    images: int
    channel_means: np.ndarray
    channel_stds: np.ndarray
    minimum: float
    maximum: float
    shut: float
    open: float

    @property
    def channels(self) -> int:
        """Number of channels."""
        return len(self.channel_means)

    @property
    def mean(self) -> float:
        """Mean over all images and channels."""
        return float(self.channel_means.mean())

    @property
    def spread_over_images(self) -> float:
        """How much a channel's weight depends on the image: mean of the channels' deviations."""
        return float(self.channel_stds.mean())

    @property
    def spread_over_channels(self) -> float:
        """How much channels differ whatever the image: deviation of the channels' means."""
        return float(self.channel_means.std())

    def to_row(self) -> dict[str, Any]:
        """Return the numbers of the block, without those of its channels."""
        numbers = {
            "mean": self.mean,
            "spread_over_images": self.spread_over_images,
            "spread_over_channels": self.spread_over_channels,
            "minimum": self.minimum,
            "maximum": self.maximum,
            "shut": self.shut,
            "open": self.open,
        }
        return {
            "block": self.block,
            "images": self.images,
            "channels": self.channels,
            **{name: round(value, 7) for name, value in numbers.items()},
        }


class RunningStatistics:
    """Gathers the statistics of all blocks from what ``channel_gates`` yields."""

    def __init__(self) -> None:
        self._blocks: dict[str, _RunningBlock] = {}

    def add(self, gates: Mapping[str, np.ndarray]) -> None:
        """Take in the channel weights of a batch, ``{layer name: (N, C)}``."""
        for name, values in gates.items():
            self._blocks.setdefault(name, _RunningBlock()).add(values)

    def result(self) -> dict[str, GateStatistics]:
        """Return the statistics by layer name.

        Raises:
            ValueError: There was no batch.
        """
        if not self._blocks:
            raise ValueError("`batches` must hold at least one batch of images. Received: none")
        return {name: block.result(block_name(name)) for name, block in self._blocks.items()}


def gate_statistics(model: keras.Model, batches: Iterable[np.ndarray]) -> dict[str, GateStatistics]:
    """Return statistics of every block's channel weights, in one pass over the images.

    Sums are float64 and merged so that they do not depend on how images are split into batches.
    Memory is O(C) a block.

    Args:
        model: A functional model that contains ``Recalibration`` layers.
        batches: Prepared images, (N, H, W, 3) each, as the model takes them; N may vary.

    Returns:
        ``{layer name: GateStatistics}``, in network order. Where the gates of a module differ from
        pixel to pixel, a channel's weight is their mean over the feature map.

    Raises:
        ValueError: The model is not functional, has no recalibration layer, or there is no image.
    """
    statistics = RunningStatistics()
    for gates in channel_gates(model, batches):
        statistics.add(gates)
    return statistics.result()


class _RunningBlock:
    def __init__(self) -> None:
        self._moments = RunningMoments()
        self._minimum, self._maximum = math.inf, -math.inf
        self._shut = self._open = 0

    def add(self, values: np.ndarray) -> None:
        self._moments.add(values)
        self._minimum = min(self._minimum, float(values.min()))
        self._maximum = max(self._maximum, float(values.max()))
        self._shut += int(np.count_nonzero(values < SHUT))
        self._open += int(np.count_nonzero(values > OPEN))

    def result(self, block: str) -> GateStatistics:
        moments = self._moments
        number = moments.count * len(moments.mean)
        return GateStatistics(
            block=block,
            images=moments.count,
            channel_means=moments.mean,
            channel_stds=moments.std,
            minimum=self._minimum,
            maximum=self._maximum,
            shut=self._shut / number,
            open=self._open / number,
        )
