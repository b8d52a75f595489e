"""The picture of pruning curves: a panel a stage, a line a network."""

import os
from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.lines import Line2D

from srm_keras.analysis.pruning.curve import PruningCurve
from srm_keras.figures import (
    group_colors,
    grow,
    height_of,
    legend_below,
    line,
    new_figure,
    plain,
    save_figure,
    wrapped_label,
)

STYLES = {"gates": ("-", 1.8), "random": (":", 1.2)}  # by order of pruning: line, width
_PANELS_A_ROW = 4


def plot_pruning(
    networks: Mapping[str, Sequence[PruningCurve]], path: str | os.PathLike, title: str
) -> None:
    """Draw accuracy against the pruned share, as figure 6 of the SRM paper, as a PNG.

    Solid lines are pruned by gates, dotted ones at random. Below each panel stands the area
    under each line.

    Args:
        networks: by label, the curves of each, in a colour of its own.
        path: where the PNG goes.
        title: of the figure.
    """
    stages = list(dict.fromkeys(curve.stage for curves in networks.values() for curve in curves))
    figure, panels = _figure(stages, title)
    colors, legends = group_colors(len(networks)), []
    for stage, axes in panels.items():
        drawn = [
            (curve, color)
            for color, curves in zip(colors, networks.values(), strict=True)
            for curve in curves
            if curve.stage == stage
        ]
        lines = [_draw(axes, curve, color) for curve, color in drawn]
        legends.append(_areas_below(axes, lines, [curve.area for curve, _ in drawn]))
        axes.set_ylim(bottom=0)
    highest = max(height_of(figure, legend) for legend in legends)
    grow(figure, highest * -(-len(panels) // _PANELS_A_ROW))
    orders = list(dict.fromkeys(c.order for curves in networks.values() for c in curves))
    handles = [*map(line, colors), *(line("#666666", *STYLES[order]) for order in orders)]
    names = {"gates": "lowest gates first", "random": "at random"}
    legend_below(figure, handles, [*networks, *(names[order] for order in orders)])
    save_figure(figure, path)


def _figure(stages: Sequence[str], title: str) -> tuple[Figure, dict[str, Axes]]:
    columns = min(len(stages), _PANELS_A_ROW)
    rows = -(-len(stages) // columns)
    figure = new_figure(4.2 * columns, 3.9 * rows + 0.4, title)
    grid = figure.subplots(rows, columns, sharey=True, squeeze=False).flat
    panels = dict(zip(stages, grid, strict=False))
    for axes in list(grid)[len(stages) :]:
        axes.remove()
    for index, (stage, axes) in enumerate(panels.items()):
        name = "all stages" if stage == "all" else stage
        axes.set_title(wrapped_label(name, 3.6, 11), fontsize=11)
        axes.set(xlabel="share of channels pruned", xlim=(0, 1))
        axes.set_ylabel("top-1 accuracy" if index % columns == 0 else "")
        plain(axes)
    return figure, panels


def _draw(axes: Axes, curve: PruningCurve, color) -> Line2D:
    style, width = STYLES[curve.order]
    marker = "." if curve.order == "gates" else None
    return axes.plot(
        curve.ratios,
        curve.accuracies,
        style,
        color=color,
        linewidth=width,
        marker=marker,
        clip_on=False,
    )[0]


def _areas_below(axes: Axes, lines: Sequence[Line2D], areas: Sequence[float]) -> Legend:
    return axes.legend(
        lines,
        [f"{area:.3f}" for area in areas],
        loc="upper center",
        bbox_to_anchor=(0.5, -0.16),
        ncols=4,
        title="area under the line",
        fontsize=9,
        title_fontsize=9,
        frameon=False,
    )
