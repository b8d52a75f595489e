"""Pictures of top images: contact sheets, and how diverse they are."""

import dataclasses
import os
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Patch
from PIL import Image, ImageDraw, ImageFont

from srm_keras.analysis.activations.top_activations import BlockActivations, TopActivations
from srm_keras.support.figures import (
    group_colors,
    legend_below,
    name_ticks,
    new_figure,
    plain,
    save_figure,
)
from srm_keras.support.files import write_atomically
from srm_keras.support.validation import positive_int

GAP = 4
_LINE = 16  # height of a line of text
_FONT_SIZE = 12
_TITLE_SIZE = 15


@dataclasses.dataclass(frozen=True)
class Tile:
    """An image with words beneath it.

    Attributes:
        image: uint8 (H, W, C) with 1 or 3 channels.
        caption: The lines beneath it.
        color: Of the caption.
    """

    image: np.ndarray
    caption: tuple[str, ...] = ()
    color: str = "black"


def image_grid(
    rows: Sequence[Sequence[Tile]],
    side: int,
    columns: Sequence[str] = (),
    labels: Sequence[str] = (),
) -> Image.Image:
    """Draw tiles in rows.

    Args:
        rows: Of tiles; a row may be shorter than the others.
        side: Space for an image in pixels. Images that are smaller are enlarged by the largest
            integer that fits, without smoothing, larger ones are made smaller.
        columns: A heading for each column, or none.
        labels: Words to the left of each row, or none.

    Returns:
        The picture, RGB on white.
    """
    lines = max(len(tile.caption) for row in rows for tile in row)
    left = _width(labels) + GAP if labels else 0
    top = _LINE if columns else 0
    step_x, step_y = side + GAP, side + GAP + lines * _LINE
    size = (left + max(map(len, rows)) * step_x - GAP, top + len(rows) * step_y - GAP)
    picture = Image.new("RGB", size, "white")
    pen = ImageDraw.Draw(picture)
    for index, heading in enumerate(columns):
        _write(pen, (left + index * step_x, 0), heading, side)
    for row_index, row in enumerate(rows):
        y = top + row_index * step_y
        if labels:
            pen.text((left - GAP, y + side // 2), labels[row_index], "black", _font(), anchor="rm")
        for index, tile in enumerate(row):
            _draw(picture, pen, (left + index * step_x, y), tile, side)
    return picture


def side_by_side(pictures: Sequence[tuple[str, Image.Image]], title: str) -> Image.Image:
    """Set pictures beside each other, each under its name if it has one, all under a title."""
    gap, margin, head = 6 * GAP, 2 * GAP, (3 if any(name for name, _ in pictures) else 2) * _LINE
    widths = [max(picture.width, _width([name])) for name, picture in pictures]
    width = max(sum(widths) + gap * (len(pictures) - 1), _width([title], _TITLE_SIZE))
    height = head + max(picture.height for _, picture in pictures) + 2 * margin
    sheet = Image.new("RGB", (width + 2 * margin, height), "white")
    pen = ImageDraw.Draw(sheet)
    pen.text((margin, margin), title, "black", _font(_TITLE_SIZE))
    x = margin
    for (name, picture), taken in zip(pictures, widths, strict=True):
        pen.text((x, margin + head - _LINE), name, "black", _font())
        sheet.paste(picture, (x, margin + head))
        x += taken + gap
    return sheet


def save_picture(picture: Image.Image, path: str | os.PathLike) -> None:
    """Write ``picture`` to ``path``, in the format of its suffix, all of it or none."""
    write_atomically(path, lambda temporary: picture.save(temporary))


def fitted(image: np.ndarray, side: int) -> Image.Image:
    """The image as RGB at most ``side`` pixels high and wide: see ``image_grid``."""
    pixels = image[..., 0] if image.shape[-1] == 1 else image
    picture = Image.fromarray(pixels).convert("RGB")
    longest = max(picture.size)
    if longest > side:
        shape = [max(1, length * side // longest) for length in picture.size]
        return picture.resize((shape[0], shape[1]), Image.Resampling.BOX)
    scale = side // longest
    return picture.resize((picture.width * scale, picture.height * scale), Image.Resampling.NEAREST)


def tile_side(image: np.ndarray, target: int) -> int:
    """The side that is filled by an image of this size and is nearest to ``target``.

    That is an integer multiple of the image's longer side, or ``target`` if the image is larger.
    """
    longest = max(image.shape[:2])
    return target if longest > target else longest * max(1, round(target / longest))


def _draw(
    picture: Image.Image, pen: ImageDraw.ImageDraw, corner: tuple[int, int], tile: Tile, side: int
) -> None:
    drawn = fitted(tile.image, side)
    x, y = corner
    picture.paste(drawn, (x + (side - drawn.width) // 2, y + (side - drawn.height) // 2))
    for line, text in enumerate(tile.caption):
        _write(pen, (x, y + side + line * _LINE), text, side, tile.color)


def _write(
    pen: ImageDraw.ImageDraw, corner: tuple[int, int], text: str, width: int, color: str = "black"
) -> None:
    """A line in the middle of ``width`` pixels, cut where it is too long."""
    font = _font()
    if pen.textlength(text, font) > width:
        while text and pen.textlength(text + "…", font) > width:
            text = text[:-1]
        text += "…"
    pen.text((corner[0] + width // 2, corner[1] + _LINE // 2), text, color, font, anchor="mm")


def _width(texts: Sequence[str], size: int = _FONT_SIZE) -> int:
    """Pixels that the longest of ``texts`` takes."""
    return max(int(_font(size).getlength(text)) + 1 for text in texts)


def _font(size: int = _FONT_SIZE):
    return ImageFont.load_default(size)


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
        activations: The block's top images in each network, by the network's name.
        images: Those that the activations were found among, uint8 (H, W, C) each.
        title: The words above.
        channels: How many channels to draw, the first ones, row by row.
        columns: Channels in a row.

    Returns:
        The picture, RGB.

    Raises:
        ValueError: There are no activations, ``channels`` or ``columns`` is not a positive
            integer, or the activations were not found among as many images.

    Reference:
        Lee et al. 2019, figs. 7 and 10.
    """
    channels = positive_int("channels", channels)
    columns = positive_int("columns", columns)
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
        activations: As for ``contact_sheet``.
        images: Likewise.
        title: The words above.
        channels: How many channels to draw, the first ones.

    Returns:
        The picture, RGB.

    Raises:
        ValueError: As for ``contact_sheet``.
    """
    channels = positive_int("channels", channels)
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


_PANELS = {
    "distinct_share": "distinct top images / channels",
    "overlap": "shared part of the top images",
}


def plot_diversity(activations: Mapping[str, TopActivations], path: str | os.PathLike) -> None:
    """Draw bars for every block and network: distinct top images, and overlap of channels.

    A black line across a bar is the value expected by chance.

    Args:
        activations: Of each network, by its name; a colour each.
        path: Of the PNG.
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
