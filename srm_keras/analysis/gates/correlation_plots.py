"""Pictures of the correlation between channel weights, of several networks side by side."""

import math
import os
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Patch

from srm_keras.analysis.gates.correlation import BlockCorrelation, GateCorrelation
from srm_keras.figures import (
    group_colors,
    legend_below,
    line,
    name_ticks,
    new_figure,
    plain,
    save_figure,
    wrapped_label,
)

_PANEL = 2.9  # inches, so that 256 channels have a pixel each
_COLORS = "RdBu_r"


def plot_correlation_matrices(
    correlations: Mapping[str, GateCorrelation], blocks: Sequence[str], path: str | os.PathLike
) -> None:
    """Draw correlation matrices as in the paper's Figs. 8 and 10, as a PNG.

    A row is a block, a column a network. The scale is -1 to 1 everywhere; the rows and columns of
    constant channels are white.

    Args:
        correlations: for each network's label what ``gate_correlation`` returned.
        blocks: names of blocks that all networks have, such as ``"conv2_6"``.
        path: where the PNG goes.
    """
    shape = (len(blocks), len(correlations))
    labels = [wrapped_label(label, 0.95 * _PANEL, 10) for label in correlations]
    heads = 0.17 * max(label.count("\n") for label in labels)
    size = (1.4 + _PANEL * shape[1], 0.8 + heads + (_PANEL + 0.3) * shape[0])
    figure = new_figure(*size, "Correlation between channel weights")
    figure.set_layout_engine("compressed")  # the panels are squares
    panels = figure.subplots(*shape, squeeze=False)
    pictures = []
    for column, (label, correlation) in enumerate(zip(labels, correlations.values(), strict=True)):
        found = {block.block: block for block in correlation.blocks.values()}
        for axes, block in zip(panels[:, column], blocks, strict=True):
            pictures.append(_matrix(axes, found[block]))
        panels[0, column].set_title(f"{label}\n{panels[0, column].get_title()}", fontsize=10)
    for axes, block in zip(panels[:, 0], blocks, strict=True):
        axes.set_ylabel(wrapped_label(block, 0.9 * _PANEL, 11), fontsize=11)
    figure.colorbar(pictures[0], ax=panels, shrink=0.6, pad=0.02, label="Pearson's r")
    save_figure(figure, path)


def plot_correlation_by_block(
    correlations: Mapping[str, GateCorrelation], path: str | os.PathLike
) -> None:
    """Draw the mean squared correlation of every block as bars, a colour a network, as a PNG.

    A dashed line shows what is expected from chance.

    Args:
        correlations: for each network's label what ``gate_correlation`` returned.
        path: where the PNG goes.
    """
    blocks = list(
        dict.fromkeys(block.block for c in correlations.values() for block in c.blocks.values())
    )
    panel = max(4.0, 0.5 * len(blocks), 0.05 * len(blocks) * (len(correlations) + 1))
    figure = new_figure(1.5 + panel, 4.2, "Correlation between channel weights")
    axes = figure.subplots()
    width = 0.8 / len(correlations)
    colors = group_colors(len(correlations))
    for index, correlation in enumerate(correlations.values()):
        heights = {block.block: block.mean_squared for block in correlation.blocks.values()}
        places = np.array([blocks.index(block) for block in heights])
        places = places + (index - (len(correlations) - 1) / 2) * width
        axes.bar(places, [*heights.values()], width, color=colors[index])
    chance = max(correlation.chance for correlation in correlations.values())
    axes.axhline(chance, color="black", linestyle="--", linewidth=1)
    axes.set(ylabel="mean squared correlation")
    plain(axes, "y")
    name_ticks(figure, [axes], blocks, panel)
    handles = [*(Patch(color=color) for color in colors), line("black", "--", 1)]
    networks = [f"{label} (network: {c.mean_squared:.3f})" for label, c in correlations.items()]
    legend_below(figure, handles, [*networks, f"chance: {chance:.4f}"])
    save_figure(figure, path)


def _matrix(axes: Axes, block: BlockCorrelation):
    picture = axes.imshow(block.matrix, cmap=_COLORS, vmin=-1, vmax=1, interpolation="nearest")
    mean = block.mean_squared
    words = ["all constant" if math.isnan(mean) else f"mean r² {mean:.3f}"]
    if block.constant_channels and not math.isnan(mean):
        words.append(f"{block.constant_channels} constant")
    axes.set_title(", ".join(words), fontsize=9)
    axes.set(xticks=[], yticks=[])
    return picture
