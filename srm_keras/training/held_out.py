"""What the runs of a cross-validation said of their held-out examples, over all folds and seeds."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from srm_keras.support.files import read_csv
from srm_keras.training import run_folder
from srm_keras.training.evaluation import TOP
from srm_keras.training.statistics import HeldOut

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
