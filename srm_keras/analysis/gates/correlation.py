"""How much the weights of different channels say the same."""

import math
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Patch

from srm_keras.analysis.gates.reading import block_name, channel_gates
from srm_keras.analysis.gates.statistics import RunningComoments
from srm_keras.support.figures import (
    group_colors,
    legend_below,
    line,
    name_ticks,
    new_figure,
    plain,
    save_figure,
    wrapped_label,
)

CONSTANT = 1e-6
"""A channel is constant if its deviation over the images is at most this part of its mean: a few
units in the last place of float32, in which gates are computed."""


@dataclass(frozen=True)
class BlockCorrelation:
    """Pearson correlation between the channel weights of one block over a set of images.

    Attributes:
        block: Name of the block.
        matrix: (C, C) float64 in [-1, 1]; 1 on the diagonal. Rows and columns of constant
            channels, whose correlation is not defined, are 0, diagonal included.
        constant: (C,) booleans, whether a channel's weight is the same for all images.
    """

    block: str
    matrix: np.ndarray
    constant: np.ndarray

    @property
    def channels(self) -> int:
        """Number of channels."""
        return len(self.matrix)

    @property
    def constant_channels(self) -> int:
        """Number of channels whose weight is the same for all images."""
        return int(self.constant.sum())

    @property
    def pairs(self) -> int:
        """Number of coefficients off the diagonal that are defined; each pair counts twice."""
        varying = self.channels - self.constant_channels
        return varying * (varying - 1)

    @property
    def squared_sum(self) -> float:
        """Sum of all squared coefficients, diagonal included."""
        return float(np.square(self.matrix).sum())

    @property
    def squared_sum_off_diagonal(self) -> float:
        """Sum of squared coefficients between different channels."""
        return self.squared_sum - (self.channels - self.constant_channels)

    @property
    def mean_squared(self) -> float:
        """Mean squared coefficient between different channels that vary; NaN if fewer than two."""
        return _ratio(self.squared_sum_off_diagonal, self.pairs)


@dataclass(frozen=True)
class GateCorrelation:
    """Correlation between the channel weights in every block of a network.

    Attributes:
        images: Number of images.
        blocks: ``{layer name: BlockCorrelation}``, in network order.
    """

    images: int
    blocks: Mapping[str, BlockCorrelation]

    @property
    def channels(self) -> int:
        """Number of channels of all blocks."""
        return sum(block.channels for block in self.blocks.values())

    @property
    def constant_channels(self) -> int:
        """Number of channels, of all blocks, whose weight is the same for all images."""
        return sum(block.constant_channels for block in self.blocks.values())

    @property
    def squared_sum(self) -> float:
        """The paper's number: sum of all squared coefficients of all blocks, with diagonals."""
        return math.fsum(block.squared_sum for block in self.blocks.values())

    @property
    def squared_sum_off_diagonal(self) -> float:
        """The same between different channels only."""
        return math.fsum(block.squared_sum_off_diagonal for block in self.blocks.values())

    @property
    def pairs(self) -> int:
        """Number of defined coefficients off the diagonals."""
        return sum(block.pairs for block in self.blocks.values())

    @property
    def mean_squared(self) -> float:
        """Mean squared coefficient between different channels: for networks of any size."""
        return _ratio(self.squared_sum_off_diagonal, self.pairs)

    @property
    def chance(self) -> float:
        """What ``mean_squared`` is on average for weights that have nothing to do with each other.

        A correlation over N images is never quite zero; the mean of its square is 1/(N − 1).
        """
        return 1 / (self.images - 1)

    def to_rows(self) -> list[dict[str, Any]]:
        """Return one row of numbers a block, and the last for all of them, ``"network"``."""
        blocks = [self._row(block.block, block) for block in self.blocks.values()]
        return [*blocks, self._row("network", self)]

    def _row(self, name: str, part: "BlockCorrelation | GateCorrelation") -> dict[str, Any]:
        mean = part.mean_squared
        return {
            "block": name,
            "images": self.images,
            "channels": part.channels,
            "constant_channels": part.constant_channels,
            "pairs": part.pairs,
            "squared_sum": round(part.squared_sum, 3),
            "squared_sum_off_diagonal": round(part.squared_sum_off_diagonal, 3),
            "mean_squared": None if math.isnan(mean) else round(mean, 7),
            "chance": round(self.chance, 7),
        }


class RunningCorrelation:
    """Gathers the correlation of all blocks from what ``channel_gates`` yields."""

    def __init__(self) -> None:
        self._blocks: dict[str, RunningComoments] = {}

    def add(self, gates: Mapping[str, np.ndarray]) -> None:
        """Take in the channel weights of a batch, ``{layer name: (N, C)}``."""
        for name, values in gates.items():
            self._blocks.setdefault(name, RunningComoments()).add(values)

    def result(self) -> GateCorrelation:
        """Return the correlation.

        Raises:
            ValueError: There were fewer than two images.
        """
        images = max((moments.count for moments in self._blocks.values()), default=0)
        if images < 2:
            raise ValueError(f"`batches` must hold at least two images. Received: {images}")
        blocks = {name: _block(name, moments) for name, moments in self._blocks.items()}
        return GateCorrelation(images, blocks)


def gate_correlation(model: keras.Model, batches: Iterable[np.ndarray]) -> GateCorrelation:
    """Correlate the channel weights of every block over the images, in one pass.

    The paper's Figs. 8 and 10 and the total sum of squared coefficients of its section 5.2 (Lee et
    al. 2019). Sums are float64 and merged so that they do not depend on how images are split into
    batches, and nothing cancels where a gate's mean is far larger than its spread. Memory is O(C²)
    a block, whatever the number of images.

    Args:
        model: A functional model that contains ``Recalibration`` layers.
        batches: Prepared images, (N, H, W, 3) each, as the model takes them; N may vary.

    Returns:
        The correlation matrix of every block, and the sums over the network. Where the gates of a
        module differ from pixel to pixel, a channel's weight is their mean over the feature map.

    Raises:
        ValueError: The model is not functional, has no recalibration layer, or there are fewer
            than two images.
    """
    correlation = RunningCorrelation()
    for gates in channel_gates(model, batches):
        correlation.add(gates)
    return correlation.result()


def _block(layer: str, moments: RunningComoments) -> BlockCorrelation:
    constant = moments.std <= CONSTANT * np.abs(moments.mean)
    scale = np.sqrt(np.diagonal(moments.scatter))
    scale[constant] = math.inf
    matrix = np.clip(moments.scatter / np.outer(scale, scale), -1.0, 1.0)
    np.fill_diagonal(matrix, np.where(constant, 0.0, 1.0))
    return BlockCorrelation(block_name(layer), matrix, constant)


def _ratio(total: float, number: int) -> float:
    return total / number if number else math.nan


_PANEL = 2.9  # inches, so that 256 channels have a pixel each
_COLORS = "RdBu_r"


def plot_correlation_matrices(
    correlations: Mapping[str, GateCorrelation], blocks: Sequence[str], path: str | os.PathLike
) -> None:
    """Draw correlation matrices as in the paper's Figs. 8 and 10, as a PNG.

    A row is a block, a column a network. The scale is -1 to 1 everywhere; the rows and columns of
    constant channels are white.

    Args:
        correlations: For each network's label what ``gate_correlation`` returned.
        blocks: Names of blocks that all networks have, such as ``"conv2_6"``.
        path: Where the PNG goes.
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
        correlations: For each network's label what ``gate_correlation`` returned.
        path: Where the PNG goes.
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
