"""How the gates of every block are distributed over [0, 1]."""

import os
from collections.abc import Iterable, Mapping, Sequence

import keras
import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure

from srm_keras.analysis.gates.reading import NetworkGates, block_name
from srm_keras.support.figures import literal, new_figure, save_figure, wrapped_label

BINS = 50


class RunningHistograms:
    """Counts the gates of all blocks by interval, from what ``NetworkGates.read`` returns."""

    def __init__(self) -> None:
        self._counts: dict[str, np.ndarray] = {}

    def add(self, gates: Mapping[str, np.ndarray]) -> None:
        """Take in the gates of a batch, arrays of any shape by layer name."""
        for name, values in gates.items():
            counted = np.histogram(np.clip(values, 0.0, 1.0), BINS, (0.0, 1.0))[0]
            self._counts[name] = self._counts.get(name, 0) + counted

    def counts(self) -> dict[str, np.ndarray]:
        """Return for each block the number of gates in each interval: (BINS,) int64.

        Raises:
            ValueError: There was no batch.
        """
        if not self._counts:
            raise ValueError("`batches` must hold at least one batch of images. Received: none")
        return dict(self._counts)

    def shares(self) -> dict[str, np.ndarray]:
        """Return the counts as shares of the block's gates: (BINS,) float64.

        Raises:
            ValueError: There was no batch.
        """
        return {name: count / count.sum() for name, count in self.counts().items()}


def gate_histograms(model: keras.Model, batches: Iterable[np.ndarray]) -> dict[str, np.ndarray]:
    """Return for each block the shares of its gates in equal intervals of [0, 1].

    All gates count: of every image and channel and, where they differ from pixel to pixel, of
    every place.

    Args:
        model: A functional model that contains ``Recalibration`` layers.
        batches: Prepared images, (N, H, W, 3) each, as the model takes them; N may vary.

    Returns:
        ``{layer name: (BINS,) float64}``, in network order; each sums to 1. An interval holds its
        lower end, the last one both.

    Raises:
        ValueError: The model is not functional, has no recalibration layer, or there is no batch.
    """
    network, histograms = NetworkGates(model), RunningHistograms()
    for batch in batches:
        histograms.add(network.read(batch))
    return histograms.shares()


_COLORS = "Blues"
_DARKEST = 0.2
"""The largest share that is told from larger ones: spread gates stay visible beside fixed ones."""


def plot_gate_histograms(
    histograms: Mapping[str, Mapping[str, np.ndarray]], path: str | os.PathLike, title: str
) -> None:
    """Draw the gates of several networks side by side as a PNG.

    A row is a block, a column an interval of the gate's value, the darkness its share of the
    block's gates. The scale ends at the largest share in the picture, or at a fifth where that is
    less, and its label says which.

    Args:
        histograms: For each network's label what ``gate_histograms`` returned.
        path: Where the PNG goes.
        title: Of the picture.
    """
    rows = max(map(len, histograms.values()))
    labels = [wrapped_label(label, 3.8, 12) for label in histograms]
    heads = 0.2 * max(label.count("\n") for label in labels)
    figure = new_figure(2.2 + 4.2 * len(histograms), max(2.6, 1.7 + heads + 0.22 * rows), title)
    largest = max(shares.max() for blocks in histograms.values() for shares in blocks.values())
    panels = figure.subplots(1, len(histograms), squeeze=False)[0]
    for axes, label, blocks in zip(panels, labels, histograms.values(), strict=True):
        shares = np.array(list(blocks.values()))
        axes.imshow(
            shares, aspect="auto", cmap=_COLORS, norm=_norm(largest), extent=(0, 1, len(blocks), 0)
        )
        _name_bands(axes, list(blocks))
        axes.set_xlabel("gate")
        axes.set_title(label, fontsize=12)
    _colorbar(figure, panels, largest)
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
    right; the darkness is the share of the block's gates, on a scale as in
    ``plot_gate_histograms``. Each histogram fills the time since the
    one before.

    Args:
        positions: When the T histograms were taken: rising numbers above 0.
        histograms: For each layer name its shares, (T, bins).
        path: Where the PNG goes.
        title: Of the picture.
        unit: Of ``positions``.
    """
    blocks = len(histograms)
    figure = new_figure(9, max(2.4, 1.5 + 0.45 * blocks), title)
    axes = figure.subplots()
    layers = [*histograms][::-1]
    from_below = np.concatenate([histograms[layer].T for layer in layers])
    heights = np.linspace(0, blocks, len(from_below) + 1)
    largest = from_below.max()
    axes.pcolormesh([0, *positions], heights, from_below, cmap=_COLORS, norm=_norm(largest))
    axes.hlines(range(1, blocks), 0, positions[-1], color="#999999", linewidth=0.6)
    _name_bands(axes, layers)
    axes.set(xlabel=unit, ylabel="gate, from 0 to 1 in every band")
    _colorbar(figure, axes, largest, fraction=0.03)
    save_figure(figure, path)


def _name_bands(axes: Axes, layers: Sequence[str]) -> None:
    names = [literal(block_name(layer)) for layer in layers]
    axes.set_yticks(np.arange(len(layers)) + 0.5, names, fontsize=8)


def _norm(largest: float) -> PowerNorm:
    return PowerNorm(0.5, vmin=0.0, vmax=min(largest, _DARKEST), clip=True)


def _colorbar(
    figure: Figure, axes: Axes | np.ndarray, largest: float, fraction: float = 0.15
) -> None:
    """The scale of shares; its label has the largest one."""
    norm = _norm(largest)
    picture = ScalarMappable(norm, _COLORS)
    extend = "max" if largest > _DARKEST else "neither"
    label = f"share of gates (up to {largest:.2g})"
    bar = figure.colorbar(picture, ax=axes, label=label, extend=extend, fraction=fraction, pad=0.02)
    ticks = [float(norm.inverse(part)) for part in (0, 0.5, 0.75, 1)]  # at even distances
    bar.set_ticks(ticks, labels=[f"{tick:.2g}" for tick in ticks])
