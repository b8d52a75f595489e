"""Contact sheets of the images that activate channels most."""

from collections.abc import Mapping, Sequence

import numpy as np
from PIL import Image

from srm_keras.analysis.activations.image_grid import Tile, image_grid, side_by_side, tile_side
from srm_keras.analysis.activations.top_activations import BlockActivations
from srm_keras.validation import positive_int

CHANNELS = 64
RANKED_CHANNELS = 16
COLUMNS = 8
_SIDE = 64
_GREY = 225

Activations = Mapping[str, BlockActivations]


def contact_sheet(
    activations: Activations,
    images: Sequence[np.ndarray],
    title: str,
    channels: int = CHANNELS,
    columns: int = COLUMNS,
) -> Image.Image:
    """Draw the top image of every channel of a block, one network beside the other.

    A channel that has its highest weight on several images has no top image: it is a grey square.

    Args:
        activations: the block's top images in each network, by the network's name.
        images: those that the activations were found among, uint8 (H, W, C) each.
        title: the words above.
        channels: how many channels to draw, the first ones, row by row.
        columns: channels in a row.

    Returns:
        The picture, RGB.

    Raises:
        ValueError: there are no activations, ``channels`` or ``columns`` is not a positive
            integer, or the activations were not found among as many images.

    Reference:
        Lee et al. 2019, figs. 7 and 10.
    """
    positive_int("channels", channels)
    positive_int("columns", columns)
    _check(activations, images)
    side = tile_side(images[0], _SIDE)
    panels = []
    for name, block in activations.items():
        tiles = _top_tiles(block, images, channels)
        rows = [tiles[start : start + columns] for start in range(0, len(tiles), columns)]
        panels.append((name, image_grid(rows, side)))
    return side_by_side(panels, title)


def ranked_sheet(
    activations: Activations,
    images: Sequence[np.ndarray],
    title: str,
    channels: int = RANKED_CHANNELS,
) -> Image.Image:
    """Draw a row for every channel: its top images from left to right, the weight beneath each.

    Args:
        activations: as for ``contact_sheet``.
        images: likewise.
        title: the words above.
        channels: how many channels to draw, the first ones.

    Returns:
        The picture, RGB.

    Raises:
        ValueError: as for ``contact_sheet``.
    """
    positive_int("channels", channels)
    _check(activations, images)
    side = tile_side(images[0], _SIDE)
    panels = []
    for name, block in activations.items():
        labels = [f"{index} tie" if tied else f"{index}" for index, tied in enumerate(block.tied)]
        rows = _ranked_rows(block, images, channels)
        panels.append((name, image_grid(rows, side, labels=labels[:channels])))
    return side_by_side(panels, title)


def _top_tiles(block: BlockActivations, images: Sequence[np.ndarray], channels: int) -> list[Tile]:
    empty = np.full_like(images[0], _GREY)
    tops = zip(block.indices[:channels, 0], block.tied[:channels], strict=True)
    return [Tile(empty if tied else images[index]) for index, tied in tops]


def _ranked_rows(
    block: BlockActivations, images: Sequence[np.ndarray], channels: int
) -> list[list[Tile]]:
    tops = zip(block.indices[:channels], block.weights[:channels], strict=True)
    return [
        [Tile(images[i], (f"{weight:.3f}",)) for i, weight in zip(*channel, strict=True)]
        for channel in tops
    ]


def _check(activations: Activations, images: Sequence[np.ndarray]) -> None:
    if not activations:
        raise ValueError("`activations` must be of at least one network. Received: none")
    for name, block in activations.items():
        if block.images != len(images):
            raise ValueError(
                f"`images` must be those that the top images of {name!r} were found among, "
                f"{block.images}. Received: {len(images)} images"
            )
