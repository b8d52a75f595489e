"""What is told of a run: ``report.html``, its curves, and the preset that it becomes."""

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from srm_keras import data
from srm_keras.analysis.costs.complexity import complexity
from srm_keras.interop.presets import Preset, save_preset
from srm_keras.layers import spec_label
from srm_keras.support import html
from srm_keras.support.figures import (
    PALETTE,
    group_colors,
    legend_below,
    line,
    new_figure,
    plain,
    save_figure,
)
from srm_keras.support.files import read_csv, read_json, write_text
from srm_keras.support.tables import number
from srm_keras.training import run_folder
from srm_keras.training.confusion import HARDEST, NO_ANSWER, NO_ANSWER_NAME, files_of, hardest
from srm_keras.training.evaluation import Predictions, mean_over_domains
from srm_keras.training.inputs import Examples

SHOWN = 6
"""Right and wrong predictions on the page, so many of each."""

HARD = 10
"""So many of the classes with the lowest accuracies are listed."""


def write_report(
    folder: str | os.PathLike,
    result: Mapping[str, Any],
    split: str,
    predicted: Predictions,
    classes: Sequence[str],
) -> None:
    """Writes a self-contained page about the run in ``folder``, into it.

    Pictures of gates are shown where the folder has them.

    Args:
        folder: The run folder.
        result: What ``result.json`` holds.
        split: The split that is told of example by example.
        predicted: What the last weights say of its examples.
        classes: The names of the classes.
    """
    run = Path(folder)
    recipe = read_json(run / run_folder.RECIPE)
    sections = [
        html.section("What was trained", html.table(("", ""), _facts(recipe, result).items())),
        html.section("Final numbers", html.table(*_scores(result), "numbers")),
        html.section("Curves", html.picture(run / run_folder.CURVES, "loss and accuracy")),
    ]
    gates = [run / name for name in (run_folder.GATES, run_folder.GATES_OVER_TRAINING)]
    pictures = [html.picture(path, path.stem) for path in gates if path.is_file()]
    if pictures:
        sections.append(html.section("Gates", "\n".join(pictures)))
    examples = _examples(predicted, classes)
    sections += [
        html.section(f"Predictions of the last weights on {split!r}", examples),
        html.section(f"Classes of {split!r}", _classes(run, split, predicted, classes)),
    ]
    domains = _domains(result)
    if domains:
        sections.append(html.section("Domains", html.table(DOMAINS, domains, "numbers")))
    sections += [
        html.folded(name, html.table(("", ""), run_folder.flatten(values).items()))
        for name, values in (
            ("Recipe", recipe),
            ("Versions", run_folder.told_versions(run)),
        )
    ]
    title = f"{recipe['model']['name']} on {recipe['data']['name']}"
    write_text(run / run_folder.REPORT, html.page(title, sections))


def module_label(recipe: Mapping[str, Any]) -> str:
    """What tables call the modules of a run: its spec, and whether they started neutral."""
    label = spec_label(recipe["recalibration"])
    is_neutral = label != "none" and recipe["model"].get("neutral")
    return f"{label}, neutral start" if is_neutral else label


def _facts(recipe: Mapping[str, Any], result: Mapping[str, Any]) -> dict[str, str]:
    return {
        "Recalibration": module_label(recipe),
        "Parameters": f"{result['parameters']['trainable']:,} trainable, "
        f"{result['parameters']['non_trainable']:,} not",
        "Training": f"{_steps(recipe, result)} of {recipe['batch_size']} images, "
        f"{result['seconds']:.0f} s",
        "Seed": str(recipe["seed"]),
    }


def _steps(recipe: Mapping[str, Any], result: Mapping[str, Any]) -> str:
    """How many updates were done and, where the run stopped early, of how many."""
    stopped = result.get("stopped_early")
    return (
        f"{stopped['step']:,} of {recipe['steps']:,} steps (stopped early),"
        if stopped
        else f"{recipe['steps']:,} steps"
    )


def _scores(result: Mapping[str, Any]) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Header and rows: the accuracies and the loss of both weights on every split."""
    steps = {name: f"{result[name]['step']:,.0f}" for name in ("last", "best")}
    measured = ("accuracy", "top5_accuracy", "loss")
    rows = [
        (split, name, steps[name], *(number(score.get(one)) for one in measured))
        for name in ("last", "best")
        for split, score in result[name]["splits"].items()
    ]
    return ("split", "weights", "after step", "accuracy", "top-5", "loss"), rows


DOMAINS = ("split", "domain", "examples", "accuracy", "top-5")


def _domains(result: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """Every domain of every split, and the mean over them; of the last weights."""
    names = ("accuracy", "top5_accuracy")
    rows = []
    for split, score in result["last"]["splits"].items():
        for domain, values in score.get("domains", {}).items():
            numbers = (number(values.get(name)) for name in names)
            rows.append((split, domain, f"{values['examples']:,}", *numbers))
        if "domains" in score:
            means = (number(mean_over_domains(score, name)) for name in names)
            rows.append((split, "mean over domains", "", *means))
    return rows


def _classes(run: Path, split: str, predicted: Predictions, classes: Sequence[str]) -> str:
    """The hardest classes and the confusion matrix, as large as it was drawn."""
    _, path = files_of(run / run_folder.CONFUSION, split)
    picture = html.picture(path, "which classes are taken for which", whole=True)
    hard = hardest(predicted.confusion, classes, HARD)
    if not hard:
        return picture
    return html.table(HARDEST, hard, "numbers") + picture


def _examples(predicted: Predictions, classes: Sequence[str]) -> str:
    """Wrong predictions, then right ones, where there are any, from all over the split."""
    right = predicted.right
    parts = []
    for name, positions in (("Wrong", np.flatnonzero(~right)), ("Right", np.flatnonzero(right))):
        count = min(SHOWN, len(positions))
        if count:
            spread = [int(positions[k * len(positions) // count]) for k in range(count)]
            heading = f"{name}: {len(positions):,} of {len(right):,}"
            content = html.gallery(_predictions(predicted, spread, classes))
            parts.append(html.section(heading, content, level=3))
    return "".join(parts)


def _predictions(
    predicted: Predictions, chosen: Sequence[int], classes: Sequence[str]
) -> list[html.Prediction]:
    images = _images(predicted.examples.subset(chosen))
    found = []
    for image, position in zip(images, chosen, strict=True):
        answer = predicted.classes[position]
        found.append(
            html.Prediction(
                image,
                classes[predicted.examples.labels[position]],
                NO_ANSWER_NAME if answer == NO_ANSWER else classes[answer],
                float(predicted.confidences[position]),
                float(np.exp(-predicted.losses[position])),
            )
        )
    return found


def _images(examples: Examples) -> Iterable[np.ndarray]:
    """The images as they came, uint8 (H, W, C) each."""
    if isinstance(examples, data.Examples) and isinstance(examples.images, np.ndarray):
        return examples.images
    return (image for image, _ in examples.dataset().as_numpy_iterator())


QUANTITIES = ("loss", "accuracy")
KINDS = {"": ("training", "--"), "val_": ("validation", "-")}  # column prefix: label, line

Rows = Sequence[Mapping[str, float]]


def read_metrics(path: str | os.PathLike) -> list[dict[str, float]]:
    """Reads a ``metrics.csv`` into one mapping of numbers a row.

    Raises:
        ValueError: If a line does not have one number for every column.
    """
    try:
        return [{name: float(value) for name, value in row.items()} for row in read_csv(path)]
    except (TypeError, ValueError):
        raise ValueError(f"`path` must be a metrics.csv. Received: path={str(path)!r}") from None


def plot_run(
    rows: Rows,
    path: str | os.PathLike,
    title: str,
    quantities: Sequence[str] = QUANTITIES,
    scale: str = "linear",
) -> None:
    """Draws the training and validation curves of one run as a PNG, a panel a quantity.

    Args:
        rows: With ``step``, the quantities, and each of them after ``val_``.
        path: Where the PNG goes.
        title: The title of the figure.
        quantities: Columns.
        scale: Of the vertical axes, ``"linear"`` or ``"log"``.
    """
    figure, panels = _figure(title, quantities)
    for quantity, axes in panels.items():
        for color, prefix in zip(PALETTE, KINDS, strict=False):
            _line(axes, [rows], prefix + quantity, color, style="-")
        axes.set_yscale(scale)
    kinds = [kind for kind, _ in KINDS.values()]
    legend_below(figure, [line(color) for color in PALETTE[: len(kinds)]], kinds)
    save_figure(figure, path)


def plot_runs(groups: Mapping[str, Sequence[Rows]], path: str | os.PathLike, title: str) -> None:
    """Draws several runs on one PNG: a colour a group, the mean in bold, each run thin.

    Args:
        groups: For each label the rows of its runs (such as one run a seed).
        path: Where the PNG goes.
        title: The title of the figure.
    """
    figure, panels = _figure(title, QUANTITIES)
    colors = group_colors(len(groups))
    for quantity, axes in panels.items():
        for color, runs in zip(colors, groups.values(), strict=True):
            for prefix, (_, style) in KINDS.items():
                _line(axes, runs, prefix + quantity, color, style)
    handles = [*map(line, colors), *(line("#666666", style) for _, style in KINDS.values())]
    legend_below(figure, handles, [*groups, *(kind for kind, _ in KINDS.values())])
    save_figure(figure, path)


def _figure(title: str, quantities: Sequence[str]) -> tuple[Figure, dict[str, Axes]]:
    figure = new_figure(5.5 * len(quantities), 4.2, title)
    panels = dict(zip(quantities, figure.subplots(1, len(quantities)), strict=True))
    for quantity, axes in panels.items():
        axes.set(xlabel="step", ylabel=quantity.replace("_", " "))
        plain(axes)
    return figure, panels


def _line(axes: Axes, runs: Sequence[Rows], column: str, color: str, style: str) -> None:
    """Draws the mean of ``column`` over ``runs``, at the steps that all of them reached."""
    curves = [{row["step"]: row[column] for row in rows} for rows in runs]
    steps = sorted(set.intersection(*(set(curve) for curve in curves)))
    mean = [float(np.mean([curve[step] for curve in curves])) for step in steps]
    marker = "." if len(steps) == 1 else None
    axes.plot(steps, mean, style, color=color, linewidth=1.8, marker=marker)
    if len(curves) > 1:
        for curve in curves:
            axes.plot(list(curve), list(curve.values()), style, color=color, alpha=0.3, lw=0.8)


def save_run_as_preset(
    workdir: str | os.PathLike,
    path: str | os.PathLike,
    checkpoint: str = "best",
    card: Mapping[str, Any] | None = None,
    overwrite: bool = False,
) -> Preset:
    """Saves a trained network as a preset, with the recipe, the data and the scores of its run.

    Args:
        workdir: The run folder. Of an unfinished run there are no scores.
        path: Of the preset: a folder, or a ``.zip`` file.
        checkpoint: ``"best"`` (of the evaluations, by ``best.metric``) or ``"last"``.
        card: What the card says besides, as for ``srm_keras.interop.save_preset``.
        overwrite: Whether a preset that is there is replaced.

    Returns:
        The preset.

    Raises:
        ValueError: If ``workdir`` is no run folder, or ``path`` is taken.
    """
    run = run_folder.load_run(workdir, checkpoint)
    folder = Path(workdir)
    result = folder / run_folder.RESULT
    scored = read_json(result)[checkpoint] if result.is_file() else {}
    facts: dict[str, Any] = {
        **card_facts(run.model, run.recipe.to_dict(), scored.get("splits", {})),
        "checkpoint": checkpoint,
        "training_versions": run_folder.read_versions(folder),
    }
    if scored:
        facts["step"] = scored["step"]
    if (folder / run_folder.INITIAL).is_file():
        record = read_json(folder / run_folder.INITIAL)
        facts["initial_weights"] = {name: record[name] for name in ("init", "sha256")}
    if (folder / run_folder.TEACHER).is_file():
        facts["teacher"] = read_json(folder / run_folder.TEACHER)
    given = {**facts, **(card or {})}
    return save_preset(run.model, path, run.preprocessing, run.classes, given, overwrite)


def card_facts(
    model: keras.Model, recipe: Mapping[str, Any], splits: Mapping[str, Mapping[str, Any]]
) -> dict[str, Any]:
    """What the card of a trained classifier says of it, wherever its weights are from.

    Args:
        model: The network.
        recipe: The resolved recipe that it was trained by.
        splits: What it scores on each split, as ``Predictions.scores`` has it, of which the card
            has the numbers and no tables; empty where nothing was measured.

    Returns:
        ``data``, ``recipe`` (all but the data), ``metrics`` and ``multiply_adds`` of one image.
    """
    metrics = {split: _numbers(values) for split, values in splits.items()}
    return {
        "data": recipe["data"],
        "recipe": {name: value for name, value in recipe.items() if name != "data"},
        **({"metrics": metrics} if metrics else {}),
        "multiply_adds": complexity(model).total.operations,
    }


def _numbers(values: Mapping[str, Any]) -> dict[str, float]:
    return {name: value for name, value in values.items() if isinstance(value, float)}
