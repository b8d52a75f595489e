"""Comparing two classifiers on the same held-out examples."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

RESAMPLES = 10_000
LEVEL = 0.95


@dataclass(frozen=True)
class HeldOut:
    """Which of a run's held-out examples a classifier got right.

    Attributes:
        right: (N,) booleans.
        groups: (N,) anything that can be compared: examples of one group are resampled together.
    """

    right: np.ndarray
    groups: np.ndarray


@dataclass(frozen=True)
class Difference:
    """How much more accurate a classifier is than another.

    Attributes:
        mean: The difference of the accuracies over all runs' examples.
        low, high: Its 95 % bootstrap interval.
    """

    mean: float
    low: float
    high: float


def paired_difference(
    ours: Sequence[HeldOut], theirs: Sequence[HeldOut], seed: int = 0
) -> Difference:
    """The difference in accuracy, run by run on the same examples, and its bootstrap interval.

    A two-level bootstrap (percentile interval of 10,000 resamples): runs are drawn with
    replacement, and within each drawn run its groups are. So the interval covers the chance in
    the training (seed, fold) as far as the few runs show it, and in the choice of the examples.

    Args:
        ours: One entry a run (a fold, a seed).
        theirs: The other classifier's, in the same order and on the same examples.
        seed: Of the resampling.

    Raises:
        ValueError: If there is no run, or the runs do not match.
    """
    if not ours or len(ours) != len(theirs):
        raise ValueError(
            "`ours` and `theirs` must be the same runs, at least one. "
            f"Received: {len(ours)} and {len(theirs)}"
        )
    runs = [_by_group(a, b) for a, b in zip(ours, theirs, strict=True)]
    rng = np.random.default_rng(seed)
    per_run = [_resampled(gains, sizes, rng) for gains, sizes in runs]
    drawn = rng.integers(0, len(runs), (RESAMPLES, len(runs)))
    columns = rng.integers(0, RESAMPLES, (RESAMPLES, len(runs)))
    gains = np.array([gain for gain, _ in per_run])[drawn, columns].sum(axis=1)
    sizes = np.array([size for _, size in per_run])[drawn, columns].sum(axis=1)
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(gains / sizes, (tail, 1 - tail))
    mean = sum(gain.sum() for gain, _ in runs) / sum(size.sum() for _, size in runs)
    return Difference(float(mean), float(low), float(high))


def _by_group(ours: HeldOut, theirs: HeldOut) -> tuple[np.ndarray, np.ndarray]:
    """For each group: how many more of its examples are right, and how many it has."""
    if not np.array_equal(ours.groups, theirs.groups):
        raise ValueError("`ours` and `theirs` must be of the same examples in the same order")
    _, group = np.unique(ours.groups, return_inverse=True)
    gain = ours.right.astype("float64") - theirs.right.astype("float64")
    return np.bincount(group, gain), np.bincount(group).astype("float64")


def _resampled(
    gains: np.ndarray, sizes: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """The sums over as many groups as there are, drawn with replacement, RESAMPLES times."""
    counts = rng.multinomial(len(gains), np.full(len(gains), 1 / len(gains)), RESAMPLES)
    return counts @ gains, counts @ sizes
