"""Networks that differ in normalization and modules alone, trained alike and set side by side."""

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
from ml_collections import config_dict

from srm_keras.analysis.activations.pictures import Tile, image_grid
from srm_keras.support.figures import (
    group_colors,
    legend_below,
    line,
    new_figure,
    plain,
    save_figure,
)
from srm_keras.support.files import folder_lock, write_atomically, write_csv, write_json, write_text
from srm_keras.support.tables import markdown_table, mean_and_std, with_std
from srm_keras.training import run_folder
from srm_keras.training.fields import Recipe
from srm_keras.training.reports import read_metrics
from srm_keras.training.stylization.inputs import load_stylization_inputs
from srm_keras.training.stylization.recipe import resolve
from srm_keras.training.stylization.reports import stylized
from srm_keras.training.stylization.train import check, train_stylizer

WINDOW = 5
"""Rows over which curves are smoothed."""

Rows = Sequence[Mapping[str, float]]


def plot_comparison(
    groups: Mapping[str, Sequence[Rows]], losses: Sequence[str], path: str | os.PathLike
) -> None:
    """Draws a panel a loss: each run thin, the smoothed mean over the runs bold.

    Args:
        groups: For each variant the rows of its runs, one run a seed, all of the same steps.
        losses: Columns of the rows.
        path: Where the PNG goes.
    """
    figure = new_figure(6 * len(losses), 4.6)
    colors = group_colors(len(groups))
    panels = figure.subplots(1, len(losses), squeeze=False)[0]
    for axes, loss in zip(panels, losses, strict=True):
        for color, runs in zip(colors, groups.values(), strict=True):
            steps = [row["step"] for row in runs[0]]
            curves = np.array([[row[loss] for row in rows] for rows in runs])
            axes.plot(steps, curves.T, color=color, alpha=0.3, linewidth=0.8)
            axes.plot(steps, smoothed(curves.mean(axis=0)), color=color, linewidth=2)
        axes.set(xlabel="step", ylabel=f"{loss.replace('_', ' ')} of training", yscale="log")
        plain(axes, which="both")
    legend_below(figure, [line(color) for color in colors], list(groups))
    save_figure(figure, path)


def smoothed(values: np.ndarray, window: int = WINDOW) -> np.ndarray:
    """The mean of each value (N,) and its neighbours, up to ``window`` values in all."""
    half = window // 2
    places = range(len(values))
    return np.array([values[max(0, k - half) : k + half + 1].mean() for k in places])


PAPER_VARIANTS = ("bn", "in", "bn+se", "bn+srm")
"""What the paper compares (section 4.3)."""

LOSSES = ("content_loss", "style_loss")
TABLE, SUMMARY, MARKDOWN, JSON = "losses.csv", "summary.csv", "summary.md", "style_transfer.json"
CURVES, GRID = "curves.png", "grid.png"

_NORMALIZATIONS = {"bn": "batch", "in": "instance"}
_SIDE = 128  # of an image on the grid, in pixels

Row = dict[str, Any]


def compare_stylizers(
    recipe: Recipe,
    workdir: str | os.PathLike,
    variants: Sequence[str] = PAPER_VARIANTS,
    seeds: Sequence[int] = (0,),
    modules: Mapping[str, Any] | None = None,
) -> list[Row]:
    """Trains every variant with every seed and writes what they come to.

    ``workdir`` gets a run folder ``<variant>/seed_<k>`` each, and: ``losses.csv``, a row a run with
    the losses of the held-out contents at the end; ``summary.csv``, ``.md`` and
    ``style_transfer.json``, their mean and sample standard deviation over the seeds;
    ``curves.png``, style and content loss of training against the step, as they are and smoothed
    (the paper's Figure 5); ``grid.png``, held-out contents in every variant of the first seed (its
    Figure 4). A command that was stopped goes on where it was: finished runs are not repeated.

    Args:
        recipe: A stylization recipe, a ``ConfigDict`` or a nested mapping, with
            ``method="feed_forward"``; the variants and seeds replace its ``normalization``,
            ``recalibration`` and ``seed``.
        workdir: Where everything goes.
        variants: ``"bn"`` or ``"in"``, alone or with a module: ``"bn+srm"``.
        seeds: Non-negative integers.
        modules: Specs by names that variants may use in place of modules: ``{"se4": {"name": "se",
            "reduction": 4}}`` for ``"bn+se4"``.

    Returns:
        The rows of ``summary.csv``.

    Raises:
        ValueError: Before any work, if a variant, a seed or the recipe is wrong, or another call is
            at work in the folder.

    Reference:
        Lee et al. 2019, section 4.3.
    """
    recipes = _recipes(resolve(recipe), variants, seeds, modules or {})
    for run_recipe in recipes.values():
        check(run_recipe)
    folder = Path(workdir)
    with folder_lock("workdir", folder, (TABLE, SUMMARY, MARKDOWN, JSON, CURVES, GRID)):
        return _compared(folder, recipes, variants, seeds)


def run_of(folder: Path, variant: str, seed: int) -> Path:
    """The folder of one run."""
    return folder / re.sub(r"[^a-z0-9]+", "_", variant.lower()) / f"seed_{seed}"


def _compared(
    folder: Path,
    recipes: Mapping[tuple[str, int], config_dict.ConfigDict],
    variants: Sequence[str],
    seeds: Sequence[int],
) -> list[Row]:
    """Trains what is not finished, and writes the tables and pictures."""
    rows: list[Row] = []
    for (variant, seed), run_recipe in recipes.items():
        print(f"{variant}, seed {seed} ({len(rows) + 1} of {len(recipes)})", flush=True)
        result = train_stylizer(run_recipe, run_of(folder, variant, seed))
        rows.append(_run_row(variant, seed, result))
        write_csv(folder / TABLE, rows)
    summary = [_summary(name, [row for row in rows if row["variant"] == name]) for name in variants]
    write_csv(folder / SUMMARY, summary)
    write_text(folder / MARKDOWN, _markdown(summary, len(seeds)))
    write_json(folder / JSON, {"runs": rows, "variants": summary})
    curves = {
        variant: [read_metrics(run_of(folder, variant, k) / run_folder.METRICS) for k in seeds]
        for variant in variants
    }
    plot_comparison(curves, LOSSES, folder / CURVES)
    _draw_grid(folder, next(iter(recipes.values())), variants, seeds[0])
    return summary


def _recipes(
    recipe: config_dict.ConfigDict,
    variants: Sequence[str],
    seeds: Sequence[int],
    modules: Mapping[str, Any],
) -> dict[tuple[str, int], config_dict.ConfigDict]:
    """The checked recipe of every run, seed by seed."""
    if recipe.method != "feed_forward":
        raise ValueError(f"`method` must be 'feed_forward'. Received: method={recipe.method!r}")
    for name, values in (("variants", variants), ("seeds", seeds)):
        if not values or len(set(values)) < len(values):
            raise ValueError(f"`{name}` must be different and at least one. Received: {values}")
    settings = {variant: _settings(variant, modules) for variant in variants}
    recipes = {}
    for seed in seeds:
        for variant in variants:
            chosen = recipe.copy_and_resolve_references()
            with chosen.ignore_type():
                chosen.update({**settings[variant], "seed": seed})
            recipes[variant, seed] = resolve(chosen)
    return recipes


def _settings(variant: str, modules: Mapping[str, Any]) -> Row:
    """The recipe fields of ``bn+srm``."""
    normalization, plus, module = variant.partition("+")
    if normalization not in _NORMALIZATIONS or (plus and not module):
        raise ValueError(
            "`variants` must be 'bn' or 'in', alone or with a module, as 'bn+srm'. "
            f"Received: {variant!r}"
        )
    spec = modules.get(module, module) or None
    return {"normalization": _NORMALIZATIONS[normalization], "recalibration": spec}


def _run_row(variant: str, seed: int, result: Mapping[str, Any]) -> Row:
    losses = result["last"]["splits"]["held_out"]
    return {
        "variant": variant,
        "seed": seed,
        "step": int(result["last"]["step"]),
        "parameters": result["parameters"]["trainable"],
        **{name: losses[name] for name in ("loss", *LOSSES)},
        "seconds": result["seconds"],
    }


def _summary(variant: str, rows: Sequence[Row]) -> Row:
    summary: Row = {"variant": variant, "parameters": rows[0]["parameters"], "runs": len(rows)}
    for name in ("loss", *LOSSES):
        summary[name], summary[f"{name}_std"] = mean_and_std([row[name] for row in rows])
    return summary


def _markdown(summary: Sequence[Row], seeds: int) -> str:
    names = ("loss", *LOSSES)
    rows = [
        [
            row["variant"],
            f"{row['parameters']:,}",
            *(with_std(row[name], row[f"{name}_std"], ".4g", ".2g") for name in names),
        ]
        for row in summary
    ]
    header = ["", "parameters", *(name.replace("_", " ") for name in names)]
    spread = f"mean ± sample standard deviation of {seeds} seeds" if seeds > 1 else "one seed"
    note = f"Held-out contents, last weights; {spread}."
    return f"{markdown_table(header, rows)}\n\n{note}\n"


def _draw_grid(
    folder: Path, recipe: config_dict.ConfigDict, variants: Sequence[str], seed: int
) -> None:
    contents, _ = load_stylization_inputs(recipe).samples()
    columns = {"content": contents}
    for variant in variants:
        stylizer = keras.saving.load_model(run_of(folder, variant, seed) / run_folder.LAST)
        columns[variant] = stylized(stylizer, contents)
    rows = [
        [Tile(np.clip(np.rint(images[k]), 0, 255).astype("uint8")) for images in columns.values()]
        for k in range(len(contents))
    ]
    grid = image_grid(rows, max(_SIDE, recipe.content.image_size), list(columns))
    write_atomically(folder / GRID, grid.save)
