"""Images in rows and columns with words around them, drawn pixel by pixel."""

import dataclasses
import os
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from srm_keras.files import write_atomically

GAP = 4
_LINE = 16  # height of a line of text
_FONT_SIZE = 12
_TITLE_SIZE = 15


@dataclasses.dataclass(frozen=True)
class Tile:
    """An image with words beneath it.

    Attributes:
        image: uint8 (H, W, C) with 1 or 3 channels.
        caption: the lines beneath it.
        color: of the caption.
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
        rows: of tiles; a row may be shorter than the others.
        side: space for an image in pixels. Images that are smaller are enlarged by the largest
            integer that fits, without smoothing, larger ones are made smaller.
        columns: a heading for each column, or none.
        labels: words to the left of each row, or none.

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
