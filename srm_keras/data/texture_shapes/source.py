"""texture_shapes as a data source."""

import functools
import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from absl import logging

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
