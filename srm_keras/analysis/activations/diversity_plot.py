"""The diversity of top images of several networks in one picture."""

import os
from collections.abc import Mapping

from matplotlib.axes import Axes
from matplotlib.patches import Patch

from srm_keras.analysis.activations.top_activations import TopActivations
from srm_keras.figures import (
    group_colors,
    legend_below,
    name_ticks,
    new_figure,
    plain,
    save_figure,
)

_PANELS = {
    "distinct_share": "distinct top images / channels",
    "overlap": "shared part of the top images",
}


def plot_diversity(activations: Mapping[str, TopActivations], path: str | os.PathLike) -> None:
    """Draw bars for every block and network: distinct top images, and overlap of channels.

    A black line across a bar is the value expected by chance.

    Args:
        activations: of each network, by its name; a colour each.
        path: of the PNG.
    """
    blocks = list(dict.fromkeys(name for found in activations.values() for name in found.blocks))
    images = next(iter(activations.values())).images
    panel = max(4.5, 0.05 * len(blocks) * (len(activations) + 1))
    title = f"Top images of the channels among {images:,}; black: by chance"
    figure = new_figure(2 * (panel + 1), 4.2, title)
    colors = group_colors(len(activations))
    for (quantity, label), axes in zip(_PANELS.items(), figure.subplots(1, 2), strict=True):
        for number, found in enumerate(activations.values()):
            _bars(axes, found, colors[number], quantity, blocks, (number, len(activations)))
        axes.set(ylabel=label, ylim=(0, None))
        plain(axes, "y")
    name_ticks(figure, figure.axes, blocks, panel)
    legend_below(figure, [Patch(color=color) for color in colors], list(activations))
    save_figure(figure, path)


def _bars(
    axes: Axes,
    found: TopActivations,
    color,
    quantity: str,
    blocks: list[str],
    place: tuple[int, int],
) -> None:
    number, of = place
    width = 0.8 / of
    diversities = {block: found.blocks[block].diversity for block in found.blocks}
    x = [blocks.index(block) + (number - (of - 1) / 2) * width for block in diversities]
    heights = [getattr(each, quantity) for each in diversities.values()]
    chance = [getattr(each, f"{quantity}_by_chance") for each in diversities.values()]
    axes.bar(x, heights, width, color=color)
    half = width / 2
    axes.hlines(chance, [at - half for at in x], [at + half for at in x], "black", linewidth=1.5)
