"""A picture of a split: shapes down, textures across."""

import os
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from srm_keras.data.texture_shapes import generator
from srm_keras.data.texture_shapes.drawing import SHAPE_NAMES
from srm_keras.data.texture_shapes.generator import check_arguments, examples
from srm_keras.data.texture_shapes.textures import SEEN_TEXTURE_NAMES, TEXTURE_NAMES

_SEARCHED = 2_000  # the indices among which examples are looked for
_COLUMNS = 10
_TILE = 72  # least side of an image on the sheet, in pixels
_GAP = 4
_MARGIN = (64, 20)  # of the names: left, top


def contact_sheet(
    split: str, seed: int = 0, size: int = 32, cue_correlation: float = generator.CHANCE
) -> Image.Image:
    """Shows the first image of a split with each shape and object texture.

    A pair that does not occur stays empty: in ``cue_conflict`` those on the diagonal.

    Args:
        split: One of ``srm_keras.data.texture_shapes.SPLITS``.
        seed: The data set's seed.
        size: Side of the images; small ones are enlarged without smoothing.
        cue_correlation: The data set's.

    Returns:
        The picture, RGB.

    Raises:
        ValueError: If an argument is out of its range.
    """
    check_arguments(seed, split, size, cue_correlation)
    unseen = split == "test_unseen_style"
    textures = range(len(SEEN_TEXTURE_NAMES), len(TEXTURE_NAMES)) if unseen else range(_COLUMNS)
    columns = [kind for kind in textures for _ in range(_COLUMNS // len(textures))]
    tile = size * -(-_TILE // size)
    sheet = _empty_sheet(columns, tile)
    cells = _cells(seed, split, cue_correlation, columns)
    images = examples(seed, split, np.array(list(cells.values())), size, cue_correlation).images
    for (row, column), image in zip(cells, images, strict=True):
        corner = (_MARGIN[0] + column * (tile + _GAP), _MARGIN[1] + row * (tile + _GAP))
        sheet.paste(Image.fromarray(image).resize((tile, tile), Image.Resampling.NEAREST), corner)
    return sheet


def write_contact_sheets(folder: str | os.PathLike, **options: Any) -> list[Path]:
    """Writes ``<split>.png`` for every split.

    Args:
        folder: Where to; made if it does not exist.
        **options: ``seed``, ``size`` and ``cue_correlation``, as for ``contact_sheet``.

    Returns:
        The paths of the pictures.

    Raises:
        ValueError: If an option is out of its range.
    """
    sheets = {split: contact_sheet(split, **options) for split in generator.SPLITS}
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for split, sheet in sheets.items():
        paths.append(folder / f"{split}.png")
        sheet.save(paths[-1])
    return paths


def _cells(
    seed: int, split: str, cue_correlation: float, columns: list[int]
) -> dict[tuple[int, int], int]:
    """The index that each (row, column) shows; every index at most once."""
    indices = np.arange(_SEARCHED)
    shapes, textures = generator.labels(seed, split, indices, cue_correlation)
    cells = {}
    for row in range(len(SHAPE_NAMES)):
        for column, texture in enumerate(columns):
            found = np.flatnonzero((shapes == row) & (textures == texture))
            turn = columns[:column].count(texture)
            if turn < len(found):
                cells[row, column] = int(found[turn])
    return cells


def _empty_sheet(columns: list[int], tile: int) -> Image.Image:
    width = _MARGIN[0] + len(columns) * (tile + _GAP)
    height = _MARGIN[1] + len(SHAPE_NAMES) * (tile + _GAP)
    sheet = Image.new("RGB", (width, height), "white")
    pen = ImageDraw.Draw(sheet)
    for row, name in enumerate(SHAPE_NAMES):
        pen.text((4, _MARGIN[1] + row * (tile + _GAP) + tile // 2), name, "black", anchor="lm")
    for column, kind in enumerate(columns):
        middle = _MARGIN[0] + column * (tile + _GAP) + tile // 2
        pen.text((middle, _MARGIN[1] // 2), TEXTURE_NAMES[kind], "black", anchor="mm")
    return sheet
