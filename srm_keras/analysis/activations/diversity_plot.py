"""The diversity of top images of several networks in one picture."""

import os
from collections.abc import Mapping

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from srm_keras.analysis.activations.top_activations import TopActivations
from srm_keras.figures import PALETTE, save_figure

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
    figure = Figure(figsize=(11, 4.2), dpi=120, layout="constrained")
    for (quantity, label), axes in zip(_PANELS.items(), figure.subplots(1, 2), strict=True):
        for number, (name, found) in enumerate(activations.items()):
            _bars(axes, found, name, quantity, blocks, (number, len(activations)))
        axes.set(ylabel=label, ylim=(0, None))
        axes.set_xticks(range(len(blocks)), blocks, rotation=90 if len(blocks) > 8 else 0)
        axes.grid(axis="y", color="#dddddd", linewidth=0.8)
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
    images = next(iter(activations.values())).images
    figure.suptitle(f"Top images of the channels among {images:,}; black: by chance", fontsize=12)
    figure.legend(
        *figure.axes[0].get_legend_handles_labels(),
        loc="outside lower center",
        ncols=len(activations),
        frameon=False,
    )
    save_figure(figure, path)


def _bars(
    axes: Axes,
    found: TopActivations,
    name: str,
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
    axes.bar(x, heights, width, color=PALETTE[number % len(PALETTE)], label=name)
    half = width / 2
    axes.hlines(chance, [at - half for at in x], [at + half for at in x], "black", linewidth=1.5)
