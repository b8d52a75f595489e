"""How the gates of every block are distributed over [0, 1]."""

from collections.abc import Iterable, Mapping

import keras
import numpy as np

from srm_keras.analysis.gates.reading import NetworkGates

BINS = 50


class RunningHistograms:
    """Counts the gates of all blocks by interval, from what ``NetworkGates.read`` returns."""

    def __init__(self) -> None:
        self._counts: dict[str, np.ndarray] = {}

    def add(self, gates: Mapping[str, np.ndarray]) -> None:
        """Take in the gates of a batch, arrays of any shape by layer name."""
        for name, values in gates.items():
            counted = np.histogram(np.clip(values, 0.0, 1.0), BINS, (0.0, 1.0))[0]
            self._counts[name] = self._counts.get(name, 0) + counted

    def counts(self) -> dict[str, np.ndarray]:
        """Return for each block the number of gates in each interval: (BINS,) int64.

        Raises:
            ValueError: there was no batch.
        """
        if not self._counts:
            raise ValueError("`batches` must hold at least one batch of images. Received: none")
        return dict(self._counts)

    def shares(self) -> dict[str, np.ndarray]:
        """Return the counts as shares of the block's gates: (BINS,) float64.

        Raises:
            ValueError: there was no batch.
        """
        return {name: count / count.sum() for name, count in self.counts().items()}


def gate_histograms(model: keras.Model, batches: Iterable[np.ndarray]) -> dict[str, np.ndarray]:
    """Return for each block the shares of its gates in equal intervals of [0, 1].

    All gates count: of every image and channel and, where they differ from pixel to pixel, of
    every place.

    Args:
        model: a functional model that contains ``Recalibration`` layers.
        batches: prepared images, (N, H, W, 3) each, as the model takes them; N may vary.

    Returns:
        ``{layer name: (BINS,) float64}``, in network order; each sums to 1. An interval holds its
        lower end, the last one both.

    Raises:
        ValueError: the model is not functional, has no recalibration layer, or there is no batch.
    """
    network, histograms = NetworkGates(model), RunningHistograms()
    for batch in batches:
        histograms.add(network.read(batch))
    return histograms.shares()
