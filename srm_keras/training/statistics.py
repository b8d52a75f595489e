"""Comparing two classifiers on the same held-out examples."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

RESAMPLES = 10_000
LEVEL = 0.95

_AT_ONCE = 500
"""Resamples drawn together: their counts of groups are what takes memory."""


@dataclass(frozen=True)
class HeldOut:
    """Which of a run's held-out examples a classifier got right.

    Attributes:
        right: (N,) booleans.
        groups: (N,) anything that can be compared: examples of one group are resampled together.
        fold: Which examples these are. Runs of one fold (its seeds) are of the same examples.
    """

    right: np.ndarray
    groups: np.ndarray
    fold: Any = 0


@dataclass(frozen=True)
class Difference:
    """How much more accurate a classifier is than another.

    Attributes:
        mean: The difference of the accuracies, over all examples of all folds.
        low, high: Its bootstrap interval.
        examples: Number of held-out examples, each counted once however many runs are of it.
        level: Of the interval.
    """

    mean: float
    low: float
    high: float
    examples: int
    level: float = LEVEL


def paired_difference(
    ours: Sequence[HeldOut], theirs: Sequence[HeldOut], seed: int = 0
) -> Difference:
    """The difference in accuracy, run by run on the same examples, and its bootstrap interval.

    A nested bootstrap (percentile interval of 10,000 resamples): folds are drawn with replacement;
    within each drawn fold its groups are, once for all runs of the fold, and its runs (the seeds).
    So the interval covers the chance in the choice of the examples, in the fold and in the seed as
    far as the few runs show it; a run that is repeated adds nothing, since its examples are the
    same. The runs of a fold are averaged, so that each example counts once.

    Args:
        ours: One entry a run (a fold, a seed).
        theirs: The other classifier's, in the same order and on the same examples.
        seed: Of the resampling.

    Raises:
        ValueError: If there is no run, the runs do not match, or those of one fold are not of the
            same examples.
    """
    if not ours or len(ours) != len(theirs):
        raise ValueError(
            "`ours` and `theirs` must be the same runs, at least one. "
            f"Received: {len(ours)} and {len(theirs)}"
        )
    folds = [_by_group(pairs) for pairs in _by_fold(ours, theirs)]
    rng = np.random.default_rng(seed)
    per_fold = [_resampled(gains, sizes, rng) for gains, sizes in folds]
    drawn = rng.integers(0, len(folds), (RESAMPLES, len(folds)))
    columns = rng.integers(0, RESAMPLES, (RESAMPLES, len(folds)))
    gains = np.array([gain for gain, _ in per_fold])[drawn, columns].sum(axis=1)
    sizes = np.array([size for _, size in per_fold])[drawn, columns].sum(axis=1)
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(gains / sizes, (tail, 1 - tail))
    examples = sum(size.sum() for _, size in folds)
    mean = sum(gain.mean(axis=0).sum() for gain, _ in folds) / examples
    return Difference(float(mean), float(low), float(high), int(examples))


Pairs = list[tuple[HeldOut, HeldOut]]


def _by_fold(ours: Sequence[HeldOut], theirs: Sequence[HeldOut]) -> list[Pairs]:
    """The pairs of runs of each fold, in the order in which the folds come."""
    folds: dict[Any, Pairs] = {}
    for pair in zip(ours, theirs, strict=True):
        if pair[0].fold != pair[1].fold:
            raise ValueError(
                "`ours` and `theirs` must be of the same folds in the same order. "
                f"Received: folds {pair[0].fold!r} and {pair[1].fold!r}"
            )
        folds.setdefault(pair[0].fold, []).append(pair)
    return list(folds.values())


def _by_group(pairs: Pairs) -> tuple[np.ndarray, np.ndarray]:
    """How many more of each group's examples are right, a row a run; how many examples it has."""
    groups = pairs[0][0].groups
    if not all(np.array_equal(run.groups, groups) for pair in pairs for run in pair):
        raise ValueError(
            "`ours` and `theirs` must be of the same examples in the same order, and so must all "
            f"runs of a fold be. Received: other ones in fold {pairs[0][0].fold!r}"
        )
    _, group = np.unique(groups, return_inverse=True)
    rows = [ours.right.astype("float64") - theirs.right for ours, theirs in pairs]
    sizes = np.bincount(group).astype("float64")
    return np.array([np.bincount(group, row, len(sizes)) for row in rows]), sizes


def _resampled(
    gains: np.ndarray, sizes: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """RESAMPLES sums over a fold: groups and runs drawn with replacement, as many as there are.

    The groups are drawn once for all runs, which are averaged.
    """
    runs, groups = gains.shape
    totals, counted = [], []
    for _ in range(RESAMPLES // _AT_ONCE):
        counts = rng.multinomial(groups, np.full(groups, 1 / groups), _AT_ONCE)
        totals.append(counts @ gains.T)
        counted.append(counts @ sizes)
    drawn = rng.integers(0, runs, (RESAMPLES, runs))
    of_runs = np.take_along_axis(np.concatenate(totals), drawn, axis=1)
    return of_runs.mean(axis=1), np.concatenate(counted)
