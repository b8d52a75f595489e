"""Pictures of gate histograms: of several networks, and of one network while it is trained."""

import os
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure

from srm_keras.analysis.gates.blocks import block_name
from srm_keras.figures import save_figure

_COLORS = "Blues"
_DARKEST = (
    0.2  # the share from which on all is as dark: spread gates stay visible beside fixed ones
)


def plot_gate_histograms(
    histograms: Mapping[str, Mapping[str, np.ndarray]], path: str | os.PathLike, title: str
) -> None:
    """Draw the gates of several networks side by side as a PNG.

    A row is a block, a column an interval of the gate's value, the darkness its share of the
    block's gates, on a scale that is the same in all pictures.

    Args:
        histograms: for each network's label what ``gate_histograms`` returned.
        path: where the PNG goes.
        title: of the picture.
    """
    rows = max(map(len, histograms.values()))
    size = (2.2 + 4.2 * len(histograms), 1.7 + 0.22 * rows)
    figure = Figure(size, dpi=120, layout="constrained")
    figure.suptitle(title, fontsize=11)
    panels = figure.subplots(1, len(histograms), squeeze=False)[0]
    for axes, (label, blocks) in zip(panels, histograms.items(), strict=True):
        shares = np.array(list(blocks.values()))
        extent = (0, 1, len(blocks), 0)
        picture = axes.imshow(shares, aspect="auto", cmap=_COLORS, norm=_norm(), extent=extent)
        axes.set_yticks(np.arange(len(blocks)) + 0.5, [*map(block_name, blocks)], fontsize=8)
        axes.set(xlabel="gate", title=label)
    figure.colorbar(picture, ax=panels, label="share", extend="max", pad=0.02)
    save_figure(figure, path)


def plot_gate_training(
    positions: Sequence[int],
    histograms: Mapping[str, np.ndarray],
    path: str | os.PathLike,
    title: str,
    unit: str = "epoch",
) -> None:
    """Draw the gates of one network while it was trained as a PNG.

    A band is a block: in it the gate's value goes up from 0 to 1; the training goes from left to
    right; the darkness is the share of the block's gates. Each histogram fills the time since the
    one before.

    Args:
        positions: when the T histograms were taken: rising numbers above 0.
        histograms: for each layer name its shares, (T, bins).
        path: where the PNG goes.
        title: of the picture.
        unit: of ``positions``.
    """
    blocks = len(histograms)
    figure = Figure((9, 1.5 + 0.45 * blocks), dpi=120, layout="constrained")
    figure.suptitle(title, fontsize=11)
    axes = figure.subplots()
    layers = [*histograms][::-1]
    from_below = np.concatenate([histograms[layer].T for layer in layers])
    heights = np.linspace(0, blocks, len(from_below) + 1)
    picture = axes.pcolormesh([0, *positions], heights, from_below, cmap=_COLORS, norm=_norm())
    axes.hlines(range(1, blocks), 0, positions[-1], color="#999999", linewidth=0.6)
    axes.set_yticks(np.arange(blocks) + 0.5, [*map(block_name, layers)], fontsize=8)
    axes.set(xlabel=unit, ylabel="gate, from 0 to 1 in every band")
    figure.colorbar(picture, ax=axes, label="share", extend="max", fraction=0.03, pad=0.02)
    save_figure(figure, path)


def _norm() -> PowerNorm:
    return PowerNorm(0.5, vmin=0.0, vmax=_DARKEST, clip=True)
