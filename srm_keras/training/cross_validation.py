"""Recalibration modules compared under equal conditions: folds × modules × seeds."""

import itertools
import os
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
from ml_collections import config_dict

from srm_keras.support.files import folder_lock, read_csv, write_csv, write_json, write_text
from srm_keras.support.tables import markdown_table, mean_and_std, with_std
from srm_keras.support.validation import positive_int
from srm_keras.training import run_folder
from srm_keras.training.fields import Recipe, checked
from srm_keras.training.recipe import FIELDS, resolve
from srm_keras.training.statistics import HeldOut, paired_difference
from srm_keras.training.train import check, train

FILES = ("runs.csv", "summary.csv", "paired.csv", "domains.csv", "summary.json", "summary.md")

Row = dict[str, Any]
Run = tuple[str, int, int]
"""A label, a fold and a seed."""


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

    Writes, below ``workdir`` and after every run: ``runs/``, the run folders; ``runs.csv``,
    accuracies of the last weights, a row a run; ``summary.csv``, their mean and sample standard
    deviation over runs, a row a module; ``paired.csv``, the difference of each module to the first
    on the same examples with a bootstrap interval and its level (see ``paired_difference``);
    ``domains.csv``, where the data has domains; ``summary.json``, all of it; ``summary.md``, the
    tables. ``examples`` in them counts each held-out example once, however many seeds there are.

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
    with folder_lock("workdir", folder, writes=FILES):
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
    domains = _domain_rows(finished)
    labels = list(dict.fromkeys(trial.label for trial, _ in finished))
    held_out = {
        (trial.label, trial.fold, trial.seed): _held_out(folder / trial.folder, trial.fold)
        for trial, _ in finished
    }
    summary = [_summary_row(label, runs) | _examples(label, held_out) for label in labels]
    paired = _paired_rows(held_out, labels)
    tables = {"runs": runs, "summary": summary, "paired": paired, "domains": domains}
    for name, rows in tables.items():
        if rows:
            write_csv(folder / f"{name}.csv", rows)
    write_json(folder / "summary.json", tables)
    write_text(folder / "summary.md", _markdown(tables))
    return summary


def _run_row(trial: Trial, result: Row) -> Row:
    accuracies = {split: score["accuracy"] for split, score in result["last"]["splits"].items()}
    return {
        "recalibration": trial.label,
        "fold": trial.fold,
        "seed": trial.seed,
        **accuracies,
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
    for split in _splits(mine):
        row[f"{split}_mean"], row[f"{split}_std"] = mean_and_std([run[split] for run in mine])
    return row


def _examples(label: str, held_out: Mapping[Run, HeldOut]) -> Row:
    """How many examples a module was held out on: each once, however many seeds were."""
    folds = {run.fold: len(run.right) for (of, *_), run in held_out.items() if of == label}
    return {"examples": sum(folds.values())}


def _splits(runs: Sequence[Row]) -> list[str]:
    other = ("recalibration", "fold", "seed", "trainable_parameters", "seconds")
    return [name for name in runs[0] if name not in other]


def _domain_rows(finished: Sequence[tuple[Trial, Row]]) -> list[Row]:
    """A row a domain of the first split: every module's accuracy over all of its examples.

    That of an example is the mean over the seeds.
    """
    measured: dict[tuple[str, str], dict[int, list[Row]]] = {}
    for trial, result in finished:
        score = next(iter(result["last"]["splits"].values()))
        for domain, values in score.get("domains", {}).items():
            folds = measured.setdefault((domain, trial.label), {})
            folds.setdefault(trial.fold, []).append(values)
    rows: dict[str, Row] = {}
    for (domain, label), folds in sorted(measured.items(), key=lambda item: item[0][0]):
        # The runs of a fold, its seeds, are of the same examples.
        examples = {fold: runs[0]["examples"] for fold, runs in folds.items()}
        accuracies = {
            fold: statistics.mean(run["accuracy"] for run in runs) for fold, runs in folds.items()
        }
        total = sum(examples.values())
        row = rows.setdefault(domain, {"domain": domain, "examples": total})
        row["examples"] = max(row["examples"], total)  # a module may lack the last fold as yet
        row[label] = sum(accuracies[fold] * examples[fold] for fold in folds) / total
    return list(rows.values())


def _paired_rows(held_out: Mapping[Run, HeldOut], labels: Sequence[str]) -> list[Row]:
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


def _held_out(folder: Path, fold: int) -> HeldOut:
    rows = read_csv(folder / run_folder.PREDICTIONS)
    right = np.array([row["label"] == row["predicted"] for row in rows])
    groups = [row.get("group", str(index)) for index, row in enumerate(rows)]
    return HeldOut(right, np.array(groups), fold)


def _markdown(tables: Mapping[str, Sequence[Row]]) -> str:
    splits = [name.removesuffix("_mean") for name in tables["summary"][0] if name.endswith("_mean")]
    parts = [
        markdown_table(
            ["recalibration", "runs", "parameters", *splits],
            [_summary_cells(row, splits) for row in tables["summary"]],
        )
    ]
    if tables["paired"]:
        first = tables["paired"][0]
        difference = f"difference to {first['against']} [{first['level']:.0%} interval]"
        header = ["recalibration", "runs", "examples", difference]
        parts.append(markdown_table(header, [_paired_cells(row) for row in tables["paired"]]))
    if tables["domains"]:
        names = list(tables["domains"][0])
        cells = [[_cell(row.get(name)) for name in names] for row in tables["domains"]]
        parts.append(markdown_table(names, cells))
    return "\n\n".join(parts) + "\n"


def _summary_cells(row: Row, splits: Iterable[str]) -> list[str]:
    accuracies = [with_std(row[f"{split}_mean"], row[f"{split}_std"]) for split in splits]
    return [
        row["recalibration"],
        str(row["runs"]),
        f"{row['trainable_parameters']:,}",
        *accuracies,
    ]


def _paired_cells(row: Row) -> list[str]:
    interval = f"{row['difference']:+.4f} [{row['low']:+.4f}, {row['high']:+.4f}]"
    return [row["recalibration"], str(row["runs"]), str(row["examples"]), interval]


def _cell(value: Any) -> str:
    return f"{value:.4f}" if isinstance(value, float) else "–" if value is None else str(value)


def _file_name(label: str) -> str:
    return "".join(character if character.isalnum() else "_" for character in label)
