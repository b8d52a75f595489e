"""Recalibration modules compared under equal conditions: folds × modules × seeds."""

import itertools
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
from ml_collections import config_dict

from srm_keras.data.registry import loading_once
from srm_keras.support.files import folder_lock, read_json, write_csv, write_json, write_text
from srm_keras.support.tables import markdown_table, mean_and_std, with_std
from srm_keras.support.validation import positive_int
from srm_keras.training import run_folder
from srm_keras.training.confusion import confusion_matrix, save_confusion
from srm_keras.training.evaluation import mean_over_domains
from srm_keras.training.fields import Recipe, checked
from srm_keras.training.recipe import FIELDS, resolve
from srm_keras.training.statistics import (
    Held,
    by_fold,
    class_rows,
    domain_rows,
    paired_difference,
    read_answers,
)
from srm_keras.training.train import check, train

TABLES = ("runs", "summary", "paired", "domains", "classes")
FILES = (
    *(f"{name}.csv" for name in TABLES),
    *("summary.json", "summary.md"),
    *(f"{run_folder.CONFUSION}/*{suffix}" for suffix in (".csv", ".png")),
)

MEASURES = {
    "": "Top-1 accuracy",
    "_over_domains": "Top-1 accuracy, mean over the domains",
    "_top5": "Top-5 accuracy",
}
"""What a run's scores on a split are called after its name, and in words."""

Row = dict[str, Any]


@dataclass(frozen=True)
class Trial:
    """One training of a cross-validation.

    Attributes:
        label: The recalibration, as the tables name it.
        fold: The number of the held-out fold, from 0.
        seed: Of the training.
        recipe: The resolved recipe.
    """

    label: str
    fold: int
    seed: int
    recipe: config_dict.ConfigDict

    @property
    def folder(self) -> Path:
        """Where its run goes, below the cross-validation's folder."""
        return Path("runs", f"{_file_name(self.label)}_fold{self.fold}_seed{self.seed}")


def cross_validate(
    recipe: Recipe,
    workdir: str | os.PathLike,
    recalibrations: Mapping[str, Any],
    folds: int,
    seeds: Sequence[int] = (0,),
    tell: Callable[[str], None] = print,
) -> list[Row]:
    """Trains every recalibration on every fold with every seed, and compares them.

    The folds are those of the recipe's ``data.fold_by``, or the data set's own where it has them
    (an option ``fold``, as DTD's). Runs that are finished are not repeated and a run that was
    interrupted goes on, so the same command ends what an earlier one began. All modules of a fold
    are trained before the next fold begins.

    Writes, below ``workdir`` and after every run: ``runs/``, the run folders; ``runs.csv``, what
    the last weights score on every split (top-1 accuracy, the unweighted mean of it over the
    domains as ``…_over_domains``, top-5 accuracy as ``…_top5``), a row a run; ``summary.csv``, the
    mean and the sample standard deviation over runs of each, a row a module; ``paired.csv``, the
    difference of each module to the first on the same examples with a bootstrap interval and its
    level (see ``paired_difference``); ``domains.csv``, where the data has domains, and
    ``classes.csv``: accuracies over the held-out examples of all folds; ``confusion/``, a matrix a
    module, which counts them once a seed; ``summary.json``, all tables; ``summary.md``, those to
    read. ``examples`` in them counts each held-out example once, however many seeds there are.

    Args:
        recipe: What all runs share, a ``ConfigDict`` or a nested mapping.
        workdir: The folder.
        recalibrations: A spec for each label; the first is what the others are compared with.
        folds: Number of folds.
        seeds: Seeds of the training.
        tell: Called with a line before every run.

    Returns:
        The rows of ``summary.csv``.

    Raises:
        ValueError: Before any work, if the recipe or an argument is wrong, or another call is at
            work in the folder.
    """
    trials = _trials(checked(recipe, FIELDS), recalibrations, folds, seeds)
    folder = Path(workdir)
    for trial in trials:
        check(trial.recipe)
        run_folder.has_result(folder / trial.folder, trial.recipe.to_dict(), overwrite=False)
    finished: list[tuple[Trial, Row]] = []
    with folder_lock("workdir", folder, writes=FILES), loading_once():
        for number, trial in enumerate(trials, start=1):
            tell(f"[{number}/{len(trials)}] {trial.label}, fold {trial.fold}, seed {trial.seed}")
            finished.append((trial, train(trial.recipe, folder / trial.folder)))
            keras.backend.clear_session()
            summary = _write(folder, finished)
    return summary


def _trials(
    recipe: config_dict.ConfigDict,
    recalibrations: Mapping[str, Any],
    folds: int,
    seeds: Sequence[int],
) -> list[Trial]:
    """All trainings in their order, every recipe checked."""
    if not recalibrations or not seeds:
        raise ValueError("`recalibrations` and `seeds` must not be empty")
    if positive_int("folds", folds) < 2:
        raise ValueError(f"`folds` must be at least 2. Received: folds={folds}")
    return [
        Trial(label, fold, seed, _trial_recipe(recipe, spec, fold, folds, seed))
        for fold, seed, (label, spec) in itertools.product(
            range(folds), seeds, recalibrations.items()
        )
    ]


def _trial_recipe(
    recipe: config_dict.ConfigDict, spec: Any, fold: int, folds: int, seed: int
) -> config_dict.ConfigDict:
    changed = recipe.copy_and_resolve_references()
    with changed.unlocked(), changed.ignore_type():
        changed.recalibration = spec
        changed.seed = seed
        # A recipe that asks for folds of its own means those, not the data set's partitions.
        if "fold" in changed.data.options and not changed.data.folds:
            changed.data.options.fold = fold + 1
        else:
            changed.data.folds, changed.data.fold = folds, fold
    return resolve(changed)


def _write(folder: Path, finished: Sequence[tuple[Trial, Row]]) -> list[Row]:
    """Writes all tables about the runs that are finished; returns the summary."""
    runs = [_run_row(trial, result) for trial, result in finished]
    answers = {
        (trial.label, trial.fold, trial.seed): read_answers(folder / trial.folder, trial.fold)
        for trial, _ in finished
    }
    newest = finished[-1][0]
    classes = read_json(folder / newest.folder / run_folder.CLASSES)
    labels = list(dict.fromkeys(trial.label for trial, _ in finished))
    summary = [_summary_row(label, runs) | _examples(label, answers) for label in labels]
    tables = {
        "runs": runs,
        "summary": summary,
        "paired": _paired_rows(answers, labels),
        "domains": domain_rows(answers),
        "classes": class_rows(answers, classes),
    }
    for name in TABLES:
        if tables[name]:
            write_csv(folder / f"{name}.csv", tables[name])
    write_json(folder / "summary.json", tables)
    write_text(folder / "summary.md", _markdown(tables))
    _save_confusion(folder, newest.label, answers, classes)
    return summary


def _run_row(trial: Trial, result: Row) -> Row:
    scores: Row = {}
    for split, score in result["last"]["splits"].items():
        values = (score["accuracy"], mean_over_domains(score), score.get("top5_accuracy"))
        found = zip(MEASURES, values, strict=True)
        scores |= {f"{split}{measure}": value for measure, value in found if value is not None}
    return {
        "recalibration": trial.label,
        "fold": trial.fold,
        "seed": trial.seed,
        **scores,
        "trainable_parameters": result["parameters"]["trainable"],
        "seconds": result["seconds"],
    }


def _summary_row(label: str, runs: Sequence[Row]) -> Row:
    mine = [run for run in runs if run["recalibration"] == label]
    row: Row = {
        "recalibration": label,
        "runs": len(mine),
        "trainable_parameters": mine[0]["trainable_parameters"],
    }
    for name in _scores(mine):
        row[f"{name}_mean"], row[f"{name}_std"] = mean_and_std([run[name] for run in mine])
    return row


def _scores(runs: Sequence[Row]) -> list[str]:
    """The columns with accuracies that all runs have; an earlier version recorded fewer."""
    other = ("recalibration", "fold", "seed", "trainable_parameters", "seconds")
    return [name for name in runs[0] if name not in other and all(name in run for run in runs)]


def _examples(label: str, answers: Held) -> Row:
    """How many examples a module was held out on: each once, however many seeds were."""
    return {"examples": sum(len(runs[0].right) for runs in by_fold(label, answers))}


def _save_confusion(folder: Path, label: str, answers: Held, classes: Sequence[str]) -> None:
    """Writes the confusion matrix of a module, over all folds and seeds."""
    runs = [run for (of, *_), run in answers.items() if of == label]
    labels, predicted = (
        np.concatenate([getattr(run, name) for run in runs]) for name in ("labels", "predicted")
    )
    counts = confusion_matrix(labels, predicted, len(classes))
    title = f"{label}: held-out examples of {len(runs)} runs, last weights"
    save_confusion(counts, classes, folder / run_folder.CONFUSION, label, title)


def _paired_rows(held_out: Held, labels: Sequence[str]) -> list[Row]:
    """Each module against the first, over the runs that both have finished."""
    rows = []
    for label in labels[1:]:
        units = [
            key[1:] for key in held_out if key[0] == label and (labels[0], *key[1:]) in held_out
        ]
        ours = [held_out[label, *unit] for unit in units]
        theirs = [held_out[labels[0], *unit] for unit in units]
        difference = paired_difference(ours, theirs)
        rows.append(
            {
                "recalibration": label,
                "against": labels[0],
                "runs": len(units),
                "examples": difference.examples,
                "difference": difference.mean,
                "level": difference.level,
                "low": difference.low,
                "high": difference.high,
            }
        )
    return rows


def _markdown(tables: Mapping[str, Sequence[Row]]) -> str:
    parts = _summary_tables(tables["summary"])
    if tables["paired"]:
        first = tables["paired"][0]
        difference = f"difference to {first['against']} [{first['level']:.0%} interval]"
        header = ["recalibration", "runs", "examples", difference]
        parts.append(markdown_table(header, [_paired_cells(row) for row in tables["paired"]]))
    if tables["domains"]:
        names = [name for name in tables["domains"][0] if not name.endswith("_top5")]
        cells = [[_cell(row.get(name)) for name in names] for row in tables["domains"]]
        parts.append(markdown_table(names, cells))
    return "\n\n".join(parts) + "\n"


def _summary_tables(summary: Sequence[Row]) -> list[str]:
    """A table for each measure that there is, under its name."""
    columns = dict.fromkeys(name for row in summary for name in row if name.endswith("_mean"))
    splits: dict[str, list[str]] = {measure: [] for measure in MEASURES}
    for name in (column.removesuffix("_mean") for column in columns):
        measure = next(end for end in reversed(MEASURES) if name.endswith(end))
        splits[measure].append(name.removesuffix(measure))
    parts = []
    for measure, words in MEASURES.items():
        if splits[measure]:
            rows = [_summary_cells(row, splits[measure], measure) for row in summary]
            header = ["recalibration", "runs", "parameters", *splits[measure]]
            parts += [f"{words}, ± over runs:", markdown_table(header, rows)]
    return parts


def _summary_cells(row: Row, splits: Iterable[str], measure: str) -> list[str]:
    names = [f"{split}{measure}" for split in splits]
    return [
        row["recalibration"],
        str(row["runs"]),
        f"{row['trainable_parameters']:,}",
        *(with_std(row.get(f"{name}_mean"), row.get(f"{name}_std")) for name in names),
    ]


def _paired_cells(row: Row) -> list[str]:
    interval = f"{row['difference']:+.4f} [{row['low']:+.4f}, {row['high']:+.4f}]"
    return [row["recalibration"], str(row["runs"]), str(row["examples"]), interval]


def _cell(value: Any) -> str:
    return f"{value:.4f}" if isinstance(value, float) else "–" if value is None else str(value)


def _file_name(label: str) -> str:
    return "".join(character if character.isalnum() else "_" for character in label)
