"""Pictures of the correlation between channel weights, of several networks side by side."""

import math
import os
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from srm_keras.analysis.gates.correlation import BlockCorrelation, GateCorrelation
from srm_keras.figures import PALETTE, save_figure

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
    size = (1.4 + _PANEL * shape[1], 0.8 + (_PANEL + 0.3) * shape[0])
    figure = Figure(size, dpi=120, layout="constrained")
    figure.suptitle("Correlation between channel weights", fontsize=12)
    panels = figure.subplots(*shape, squeeze=False)
    pictures = []
    for column, (label, correlation) in enumerate(correlations.items()):
        found = {block.block: block for block in correlation.blocks.values()}
        for axes, block in zip(panels[:, column], blocks, strict=True):
            pictures.append(_matrix(axes, found[block]))
        panels[0, column].set_title(f"{label}\n{panels[0, column].get_title()}", fontsize=10)
    for axes, block in zip(panels[:, 0], blocks, strict=True):
        axes.set_ylabel(block, fontsize=11)
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
    figure = Figure((2.5 + 0.5 * max(len(blocks), 8), 4.2), dpi=120, layout="constrained")
    figure.suptitle("Correlation between channel weights")
    axes = figure.subplots()
    width = 0.8 / len(correlations)
    for index, (label, correlation) in enumerate(correlations.items()):
        heights = {block.block: block.mean_squared for block in correlation.blocks.values()}
        places = np.array([blocks.index(block) for block in heights])
        places = places + (index - (len(correlations) - 1) / 2) * width
        text = f"{label} (network: {correlation.mean_squared:.3f})"
        axes.bar(
            places, [*heights.values()], width, color=PALETTE[index % len(PALETTE)], label=text
        )
    chance = max(correlation.chance for correlation in correlations.values())
    axes.axhline(chance, color="black", linestyle="--", linewidth=1, label=f"chance: {chance:.4f}")
    axes.set_xticks(range(len(blocks)), blocks, rotation=90 if len(blocks) > 9 else 0)
    axes.set(ylabel="mean squared correlation")
    axes.grid(axis="y", color="#dddddd", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", frameon=False)
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
