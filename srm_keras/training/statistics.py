"""What is made of held-out examples: tables over folds and seeds, and two classifiers compared."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from srm_keras.support.files import read_csv
from srm_keras.training import run_folder
from srm_keras.training.evaluation import TOP

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


Row = dict[str, Any]


@dataclass(frozen=True)
class Answers(HeldOut):
    """What the last weights of a run said of its held-out examples, N of them.

    Attributes:
        labels: (N,) the class of each.
        predicted: (N,) what it was taken for, or ``NO_ANSWER``.
        ranks: (N,) the place of the class among the answers (see ``label_ranks``); None in runs
            of an earlier version, and where there are no more than five classes.
        domains: (N,) strings, where there are any.
    """

    labels: np.ndarray = field(kw_only=True)
    predicted: np.ndarray = field(kw_only=True)
    ranks: np.ndarray | None = field(kw_only=True, default=None)
    domains: np.ndarray | None = field(kw_only=True, default=None)


Held = Mapping[tuple[str, int, int], Answers]
"""Of every run, by its label, fold and seed."""


def read_answers(folder: Path, fold: int) -> Answers:
    """Reads the predictions of a run.

    Args:
        folder: The run folder.
        fold: What it was held out on.
    """
    rows = read_csv(folder / run_folder.PREDICTIONS)
    columns = {name: np.array([row[name] for row in rows]) for name in rows[0]}
    labels, predicted = (columns[name].astype("int64") for name in ("label", "predicted"))
    return Answers(
        right=labels == predicted,
        groups=columns.get("group", np.arange(len(rows)).astype(str)),
        fold=fold,
        labels=labels,
        predicted=predicted,
        ranks=columns["rank"].astype("int64") if "rank" in columns else None,
        domains=columns.get("domain"),
    )


def by_fold(label: str, answers: Held) -> list[list[Answers]]:
    """The runs of a module, fold by fold; those of a fold, its seeds, are of the same examples."""
    folds: dict[int, list[Answers]] = {}
    for (of, *_), run in answers.items():
        if of == label:
            folds.setdefault(run.fold, []).append(run)
    return list(folds.values())


def domain_rows(answers: Held) -> list[Row]:
    """A row a domain: every module's accuracies over all of its examples; none without domains.

    The columns are ``domain``, ``examples`` and of each module ``LABEL`` and, of modules whose runs
    all have ranks, ``LABEL_top5``. An example counts once: with its mean over the seeds.
    """
    found = _rows(answers, lambda run: run.domains)
    return [{"domain": str(domain)} | found[domain] for domain in sorted(found)]


def class_rows(answers: Held, classes: Sequence[str]) -> list[Row]:
    """The same a class, ``class`` instead of ``domain``; no accuracies where it has no examples."""
    found = _rows(answers, lambda run: run.labels)
    return [{"class": n} | found.get(k, {"examples": 0}) for k, n in enumerate(classes)]


def _rows(answers: Held, key: Callable[[Answers], np.ndarray | None]) -> dict[Any, Row]:
    """The rows by what ``key`` gives for the examples of a run."""
    rows: dict[Any, Row] = {}
    for label in dict.fromkeys(label for label, *_ in answers):
        folds = by_fold(label, answers)
        keys = [one for runs in folds if (one := key(runs[0])) is not None]
        if len(keys) < len(folds):
            continue
        places, columns = np.concatenate(keys), _columns(label, folds)
        for value in np.unique(places):
            chosen = places == value
            row = rows.setdefault(value, {"examples": 0})
            # A module may lack the last fold as yet.
            row["examples"] = max(row["examples"], int(chosen.sum()))
            row |= {name: float(means[chosen].mean()) for name, means in columns.items()}
    return rows


def _columns(label: str, folds: Sequence[Sequence[Answers]]) -> dict[str, np.ndarray]:
    """How often each example of all folds was right, a mean over seeds, by the column's name."""
    columns = {label: [np.mean([run.right for run in runs], axis=0) for runs in folds]}
    ranks = [[run.ranks for run in runs if run.ranks is not None] for runs in folds]
    if all(len(of_fold) == len(runs) for of_fold, runs in zip(ranks, folds, strict=True)):
        columns[f"{label}_top5"] = [np.mean(np.array(one) <= TOP, axis=0) for one in ranks]
    return {name: np.concatenate(parts) for name, parts in columns.items()}
