"""The one plotting style of the training figures: what is measured against the step."""

import os
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from srm_keras.figures import (
    PALETTE,
    group_colors,
    legend_below,
    line,
    new_figure,
    plain,
    save_figure,
)
from srm_keras.files import read_csv

QUANTITIES = ("loss", "accuracy")
KINDS = {"": ("training", "--"), "val_": ("validation", "-")}  # column prefix: label, line

Rows = Sequence[Mapping[str, float]]


def read_metrics(path: str | os.PathLike) -> list[dict[str, float]]:
    """Reads a `metrics.csv` into one mapping of numbers a row.

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
        rows: With `step`, the quantities, and each of them after `val_`.
        path: Where the PNG goes.
        title: The title of the figure.
        quantities: Columns.
        scale: Of the vertical axes, `"linear"` or `"log"`.
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
    """Draws the mean of `column` over `runs`, at the steps that all of them reached."""
    curves = [{row["step"]: row[column] for row in rows} for rows in runs]
    steps = sorted(set.intersection(*(set(curve) for curve in curves)))
    mean = [float(np.mean([curve[step] for curve in curves])) for step in steps]
    marker = "." if len(steps) == 1 else None
    axes.plot(steps, mean, style, color=color, linewidth=1.8, marker=marker)
    if len(curves) > 1:
        for curve in curves:
            axes.plot(list(curve), list(curve.values()), style, color=color, alpha=0.3, lw=0.8)
