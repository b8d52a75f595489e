"""The paper's Figure 5: style and content loss against the step, a colour a variant."""

import os
from collections.abc import Mapping, Sequence

import numpy as np

from srm_keras.figures import group_colors, legend_below, line, new_figure, plain, save_figure

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
    """The mean of each value (N,) and its neighbours, up to `window` values in all."""
    half = window // 2
    places = range(len(values))
    return np.array([values[max(0, k - half) : k + half + 1].mean() for k in places])
