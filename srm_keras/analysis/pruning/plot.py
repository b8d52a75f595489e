"""The picture of pruning curves: a panel a stage, a line a network."""

import os
from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from srm_keras.analysis.pruning.curve import PruningCurve
from srm_keras.figures import PALETTE, save_figure

STYLES = {"gates": "-", "random": ":"}
_PANELS_A_ROW = 4


def plot_pruning(
    networks: Mapping[str, Sequence[PruningCurve]], path: str | os.PathLike, title: str
) -> None:
    """Draw accuracy against the pruned share, as figure 6 of the SRM paper, as a PNG.

    Solid lines are pruned by gates, dotted ones at random. The legend of each panel has the area
    under each line.

    Args:
        networks: by label, the curves of each. Its colour is its place.
        path: where the PNG goes.
        title: of the figure.
    """
    stages = list(dict.fromkeys(curve.stage for curves in networks.values() for curve in curves))
    figure, panels = _figure(stages, title)
    for color, (label, curves) in zip(_colors(len(networks)), networks.items(), strict=True):
        for curve in curves:
            _draw(panels[curve.stage], curve, label, color)
    for axes in panels.values():
        axes.set_ylim(bottom=0)
        axes.legend(frameon=False, fontsize=9, loc="upper left", bbox_to_anchor=(0, -0.16))
    save_figure(figure, path)


def _figure(stages: Sequence[str], title: str) -> tuple[Figure, dict[str, Axes]]:
    columns = min(len(stages), _PANELS_A_ROW)
    rows = -(-len(stages) // columns)
    figure = Figure(figsize=(4.2 * columns, 4.6 * rows + 0.4), dpi=120, layout="constrained")
    figure.suptitle(title, fontsize=12)
    grid = figure.subplots(rows, columns, sharey=True, squeeze=False).flat
    panels = dict(zip(stages, grid, strict=False))
    for axes in list(grid)[len(stages) :]:
        axes.remove()
    for index, (stage, axes) in enumerate(panels.items()):
        axes.set_title("all stages" if stage == "all" else stage, fontsize=11)
        axes.set(xlabel="share of channels pruned", xlim=(0, 1))
        axes.set_ylabel("top-1 accuracy" if index % columns == 0 else "")
        axes.grid(color="#dddddd", linewidth=0.8)
        axes.spines[["top", "right"]].set_visible(False)
    return figure, panels


def _colors(count: int) -> list[str]:
    return [PALETTE[index % len(PALETTE)] for index in range(count)]


def _draw(axes: Axes, curve: PruningCurve, label: str, color: str) -> None:
    by_gates = curve.order == "gates"
    name = label if by_gates else f"{label}, {curve.order}"
    axes.plot(
        curve.ratios,
        curve.accuracies,
        STYLES[curve.order],
        color=color,
        linewidth=1.8 if by_gates else 1.2,
        marker="." if by_gates else None,
        label=f"{name}: area {curve.area:.3f}",
        clip_on=False,
    )
