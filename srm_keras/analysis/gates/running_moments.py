"""Means and deviations of data that come in batches, in one pass."""

import numpy as np


class RunningMoments:
    """Mean and sum of squared deviations of every channel, over examples that come in batches.

    Batches are merged around their own means, in float64, so that nothing cancels where the mean
    is far larger than the spread (Chan, Golub & LeVeque 1983, "Algorithms for computing the sample
    variance", eq. 2.1). Memory is O(C).

    Attributes:
        count: number of examples so far.
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
