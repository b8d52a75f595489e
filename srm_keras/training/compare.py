"""Several runs side by side: one picture, one table."""

import itertools
import os
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from srm_keras.support.files import read_json, write_csv, write_json
from srm_keras.support.tables import mean_and_std, text_table, with_std
from srm_keras.training import run_folder
from srm_keras.training.criterion import Criterion
from srm_keras.training.inputs import told_split
from srm_keras.training.recipe import differing
from srm_keras.training.reports import module_label, plot_runs, read_metrics

MAY_DIFFER = (
    *("seed", "recalibration", "model.neutral", "data.fold"),
    *("init", "freeze", "learning_rate.multipliers", "distillation"),
)

Row = dict[str, Any]

_TOP5 = "_top5_accuracy"


def compare_runs(workdirs: Sequence[str | os.PathLike], out: str | os.PathLike) -> list[Row]:
    """Compares runs that differ in recalibration, beginning, seed and fold, and writes files.

    Writes ``compare.png`` (curves: the mean over seeds in bold, each run thin), ``runs.csv`` (a
    row a run), ``compare.csv`` (a row a recalibration: mean and sample standard deviation over
    its runs), ``classes.csv`` (a row a class of the first split that was not held out to choose the
    best: mean accuracy over the runs of each recalibration) and ``compare.json`` (the tables).
    Unfinished runs count as far as they went, and runs of earlier versions, which recorded less,
    for what they recorded. Runs of one recalibration that were fine-tuned are a row of their own,
    named after their ``init`` and what else differs from the beginning of the others:
    ``srm, init=shapes, freeze=conv1+conv2``.

    Args:
        workdirs: Run folders.
        out: The folder for the files; made if it does not exist.

    Returns:
        The rows of ``compare.csv``.

    Raises:
        ValueError: If there is no run, a folder holds none, or the recipes differ elsewhere.
    """
    if not workdirs:
        raise ValueError("`workdirs` must name at least one run folder. Received: none")
    recipes = [_read_recipe(Path(workdir)) for workdir in workdirs]
    _check_comparable(recipes, workdirs)
    groups: dict[str, list[Path]] = {}
    for recipe, workdir in zip(recipes, workdirs, strict=True):
        groups.setdefault(_label(recipe), []).append(Path(workdir))
    runs = [_run_row(folder, label) for label, folders in groups.items() for folder in folders]
    table = [
        _group_row(label, [r for r in runs if r["recalibration"] == label]) for label in groups
    ]
    folder = Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    curves = {
        label: [read_metrics(folder / run_folder.METRICS) for folder in folders]
        for label, folders in groups.items()
    }
    title = f"{recipes[0]['data']['name']}, {recipes[0]['model']['name']}"
    plot_runs(curves, folder / "compare.png", title)
    write_csv(folder / "runs.csv", runs)
    write_csv(folder / "compare.csv", table)
    classes = _class_rows(groups)
    write_csv(folder / "classes.csv", classes, ("class", *groups))
    write_json(folder / "compare.json", {"runs": runs, "groups": table, "classes": classes})
    return table


def comparison_text(table: Sequence[Row]) -> str:
    """The rows of ``compare_runs`` as text: mean ± standard deviation, which one run has not.

    Top-5 accuracies, where there are any, are a table of their own below.
    """
    names = dict.fromkeys(name for row in table for name in row)
    measured = [name.removesuffix("_mean") for name in names if name.endswith("_accuracy_mean")]
    top5 = [name for name in measured if name.endswith(_TOP5)]
    text = _table(table, [name for name in measured if name not in top5], "_accuracy")
    return f"{text}\n\nTop-5:\n{_table(table, top5, _TOP5)}" if top5 else text


def _table(table: Sequence[Row], measured: Sequence[str], ends: str) -> str:
    rows = [
        (
            row["recalibration"],
            f"{row['runs']}",
            *(with_std(row.get(f"{name}_mean"), row.get(f"{name}_std")) for name in measured),
        )
        for row in table
    ]
    splits = [name.removesuffix(ends) for name in measured]
    return text_table(("recalibration", "runs", *splits), rows)


def _read_recipe(folder: Path) -> Row:
    for name in (run_folder.RECIPE, run_folder.METRICS):
        if not (folder / name).is_file():
            raise ValueError(
                f"`workdirs` must be run folders. Received: {str(folder)!r}, which lacks {name}"
            )
    return read_json(folder / run_folder.RECIPE)


def _label(recipe: Row) -> str:
    """The module and how the run began, but for what is the default."""
    parts = [module_label(recipe)]
    if recipe.get("init"):
        parts.append(f"init={Path(recipe['init']).name}")
    if recipe.get("freeze"):
        parts.append(f"freeze={'+'.join(recipe['freeze'])}")
    distillation = recipe.get("distillation", {})
    if distillation.get("teacher"):
        weight, temperature = (distillation[name] for name in ("weight", "temperature"))
        parts.append(f"teacher={Path(distillation['teacher']).name} ({weight}, T={temperature})")
    multipliers = recipe.get("learning_rate", {}).get("multipliers") or {}
    parts += [f"{part}×{factor}" for part, factor in multipliers.items()]
    return ", ".join(parts)


def _check_comparable(recipes: Sequence[Row], workdirs: Sequence[str | os.PathLike]) -> None:
    first, *others = (run_folder.flatten(recipe) for recipe in recipes)
    for recipe, workdir in zip(others, workdirs[1:], strict=True):
        for name in differing(first, recipe):
            if not _may_differ(name):
                allowed = ", ".join(MAY_DIFFER)
                raise ValueError(
                    f"`workdirs` must be runs whose recipes differ in {allowed} only. "
                    f"Received: {name}={first.get(name)!r} in {str(workdirs[0])!r} and "
                    f"{name}={recipe.get(name)!r} in {str(workdir)!r}"
                )


def _may_differ(name: str) -> bool:
    return any(name == field or name.startswith(f"{field}.") for field in MAY_DIFFER)


def _run_row(folder: Path, label: str) -> Row:
    """One run: accuracies from its metrics.csv, the rest from result.json where it is."""
    rows = read_metrics(folder / run_folder.METRICS)
    if not rows:
        raise ValueError(
            f"`workdirs` must be runs evaluated at least once. Received: {str(folder)!r}"
        )
    recipe = _read_recipe(folder)
    best = Criterion.of(recipe).best(rows)
    row = {
        "run": str(folder),
        "recalibration": label,
        "seed": recipe["seed"],
        "steps": int(rows[-1]["step"]),
    }
    for name in ("accuracy", "top5_accuracy"):
        if f"val_{name}" in best:
            row |= {f"last_{name}": rows[-1][f"val_{name}"], f"best_{name}": best[f"val_{name}"]}
    result = folder / run_folder.RESULT
    return row | (_from_result(read_json(result)) if result.is_file() else {})


def _from_result(result: Row) -> Row:
    """Parameters, seconds, and the last weights' accuracies on every split."""
    splits = {
        f"{split}_{name}": score[name]
        for split, score in result["last"]["splits"].items()
        for name in ("accuracy", "top5_accuracy")
        if name in score
    }
    return {
        "trainable_parameters": result["parameters"]["trainable"],
        "seconds": result["seconds"],
        **splits,
    }


def _group_row(label: str, runs: Sequence[Row]) -> Row:
    row: Row = {"recalibration": label, "runs": len(runs)}
    for name in dict.fromkeys(name for run in runs for name in run if name.endswith("_accuracy")):
        values = [run[name] for run in runs if name in run]
        row[f"{name}_mean"], row[f"{name}_std"] = mean_and_std(values)
    return row


def _class_rows(groups: Mapping[str, Sequence[Path]]) -> list[Row]:
    """A row a class, on one split: for each group the mean over its runs that have it."""
    rows: dict[str, Row] = {}
    for label, folders in groups.items():
        found: dict[str, list[float]] = {}
        for name, accuracy in itertools.chain.from_iterable(map(_classes, folders)):
            rows.setdefault(name, {"class": name})
            if accuracy is not None:
                found.setdefault(name, []).append(accuracy)
        for name, accuracies in found.items():
            rows[name][label] = statistics.mean(accuracies)
    return list(rows.values())


def _classes(folder: Path) -> list[tuple[str, float | None]]:
    """Accuracies by class on one split; of finished runs that recorded them."""
    result = folder / run_folder.RESULT
    splits = read_json(result)["last"]["splits"] if result.is_file() else {}
    told: Row = splits[told_split(splits)] if splits else {}
    return [(name, one["accuracy"]) for name, one in told.get("classes", {}).items()]
