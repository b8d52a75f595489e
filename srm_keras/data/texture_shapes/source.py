"""texture_shapes as a data source, and pictures of its splits."""

import functools
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from absl import logging
from PIL import Image, ImageDraw

from srm_keras.data.examples import DatasetInfo, Examples
from srm_keras.data.texture_shapes import generator
from srm_keras.data.texture_shapes.drawing import SHAPE_NAMES
from srm_keras.data.texture_shapes.generator import GENERATOR_VERSION, check_arguments, examples
from srm_keras.data.texture_shapes.generator import Examples as Drawn
from srm_keras.data.texture_shapes.textures import SEEN_TEXTURE_NAMES, TEXTURE_NAMES
from srm_keras.support.validation import one_of, positive_int

CLASS_NAMES = {"shape": SHAPE_NAMES, "texture": SEEN_TEXTURE_NAMES}

_MAX_BYTES = 4 * 2**30
_CHUNK = 512


def load_examples(
    split: str,
    *,
    label: str = "shape",
    size: int = 32,
    seed: int = 0,
    cue_correlation: float = generator.CHANCE,
    train_examples: int = generator.TRAIN_EXAMPLES,
    test_examples: int = generator.TEST_EXAMPLES,
) -> Examples:
    """Draws a split of texture_shapes and keeps it in memory.

    The same options serve all splits.

    Args:
        split: ``"train"``, ``"test"``, ``"test_unseen_style"`` or ``"cue_conflict"``.
        label: ``"shape"`` or ``"texture"``: the object's. ``"texture"`` has no
            ``test_unseen_style``, whose textures are not among the classes.
        size: Side of the images in pixels, at least 8.
        seed: Integer in [0, 2**63). Another seed is another data set.
        cue_correlation: Probability, in ``train`` and ``test``, that an object of shape k has
            texture k. The default, 0.1, is chance: the texture says nothing about the shape.
        train_examples: Number of images in ``train``.
        test_examples: Number of images in each of the other splits.

    Returns:
        The ``Examples``; the name of the object's texture family is both domain and group.

    Raises:
        ValueError: If an argument is out of its range, if ``label="texture"`` is asked of
            ``test_unseen_style``, or if the images would need more than 4 GiB of memory.
    """
    seed, size, cue_correlation = check_arguments(seed, split, size, cue_correlation)
    _check_label(label, split)
    counts = {"train": positive_int("train_examples", train_examples)}
    count = counts.get(split, positive_int("test_examples", test_examples))
    _check_memory(count, size)
    drawn = _draw(seed, split, count, size, cue_correlation)
    labels = drawn.shapes if label == "shape" else drawn.textures
    names = CLASS_NAMES[label]
    info = DatasetInfo("texture_shapes", split, count, len(names), names, (size, size, 3))
    families = np.array(TEXTURE_NAMES)[drawn.textures]
    drawn_by = f"texture_shapes {GENERATOR_VERSION}"
    return Examples(drawn.images, labels, info, families, families, drawn_by=drawn_by)


def _check_label(label: str, split: str) -> None:
    if split not in generator.LABEL_SPLITS[one_of("label", label, generator.LABEL_SPLITS)]:
        raise ValueError(
            "`split` must not be 'test_unseen_style' with label='texture': its texture families "
            "are not among the classes. Use label='shape' or another split. "
            f"Received: split={split!r}, label={label!r}"
        )


def _check_memory(count: int, size: int) -> None:
    if count * size * size * 3 > _MAX_BYTES:
        raise ValueError(
            f"{count} images of size={size} need more than 4 GiB of memory. Ask for fewer with "
            "`train_examples` or `test_examples`, or prepare the TFDS set, which is read from disk"
        )


@functools.lru_cache(maxsize=3)
def _draw(seed: int, split: str, count: int, size: int, cue_correlation: float) -> Drawn:
    """The first ``count`` images, drawn by as many threads as there are processors.

    The last three sets are kept: a cross-validation reads the same ones for every run.
    """
    logging.info("texture_shapes: drawing %d images of %s", count, split)
    starts = range(0, count, _CHUNK)

    def chunk(start: int) -> Drawn:
        indices = np.arange(start, min(start + _CHUNK, count))
        return examples(seed, split, indices, size, cue_correlation)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return Drawn(*map(np.concatenate, zip(*pool.map(chunk, starts), strict=True)))


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
