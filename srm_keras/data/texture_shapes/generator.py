"""The generator: (seed, split, index) to an image and its two labels."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from srm_keras.data.checks import fraction, seed_in_range
from srm_keras.data.texture_shapes import plan
from srm_keras.data.texture_shapes.draws import Draws, stream_keys
from srm_keras.data.texture_shapes.render import render
from srm_keras.validation import one_of, positive_int

GENERATOR_VERSION = "1.0.0"
"""Changes whenever an image would: results on two versions cannot be compared."""

MIN_SIZE = 8

_BATCH_POINTS = 128 * 32 * 32  # images are drawn in groups that stay in the processor's cache


class Examples(NamedTuple):
    """What `examples` returns, N images long.

    Attributes:
        images: (N, size, size, 3) uint8.
        shapes: (N,) int32, positions in `SHAPE_NAMES`.
        textures: (N,) int32, positions in `TEXTURE_NAMES`, of the object.
    """

    images: np.ndarray
    shapes: np.ndarray
    textures: np.ndarray


class Example(NamedTuple):
    """What `example` returns.

    Attributes:
        image: (size, size, 3) uint8.
        shape: position in `SHAPE_NAMES`.
        texture: position in `TEXTURE_NAMES`, of the object.
    """

    image: np.ndarray
    shape: int
    texture: int


def examples(
    seed: int,
    split: str,
    indices: Sequence[int] | np.ndarray,
    size: int = 32,
    cue_correlation: float = plan.CHANCE,
) -> Examples:
    """Draws the images of a split that have the given indices.

    Every image is a pure function of the arguments and its own index: the others that are drawn
    with it, their order and the processor change no byte.

    Args:
        seed: integer in [0, 2**63).
        split: `"train"`, `"test"`, `"test_unseen_style"` or `"cue_conflict"`.
        indices: (N,) integers in [0, 2**31).
        size: side of the images in pixels. The same index is the same scene at every size.
        cue_correlation: probability that an object of shape k has texture k, in `train` and
            `test`; the rest is spread over the nine other textures. 0.1 is chance. The two other
            splits do not depend on it.

    Returns:
        `Examples`: uint8 images and int32 labels.

    Raises:
        ValueError: if an argument is out of its range.
    """
    check_arguments(seed, split, size, cue_correlation)
    indices = _checked_indices(indices)
    step = max(1, _BATCH_POINTS // size**2)
    groups = [
        _group(seed, split, indices[start : start + step], size, cue_correlation)
        for start in range(0, max(1, len(indices)), step)
    ]
    return Examples(*(np.concatenate(parts) for parts in zip(*groups, strict=True)))


def example(
    seed: int, split: str, index: int, size: int = 32, cue_correlation: float = plan.CHANCE
) -> Example:
    """Draws one image; see `examples`, which is faster for many."""
    drawn = examples(seed, split, [index], size, cue_correlation)
    return Example(drawn.images[0], int(drawn.shapes[0]), int(drawn.textures[0]))


def check_arguments(seed: int, split: str, size: int, cue_correlation: float) -> None:
    """Raises the `ValueError`s that `examples` promises."""
    one_of("split", split, plan.SPLITS)
    seed_in_range(seed)
    if positive_int("size", size) < MIN_SIZE:
        raise ValueError(f"`size` must be at least {MIN_SIZE} pixels. Received: size={size}")
    fraction("cue_correlation", cue_correlation)


def _group(
    seed: int, split: str, indices: np.ndarray, size: int, cue_correlation: float
) -> Examples:
    shapes, textures = plan.labels(seed, split, indices, cue_correlation)
    draws = Draws(stream_keys(seed, split, indices))
    backgrounds = plan.backgrounds(draws, split, textures)
    return Examples(render(size, draws, shapes, textures, backgrounds), shapes, textures)


def _checked_indices(indices: Sequence[int] | np.ndarray) -> np.ndarray:
    indices = np.asarray(indices)
    if indices.size == 0:
        indices = indices.astype("int64")
    if indices.ndim != 1 or not np.issubdtype(indices.dtype, np.integer):
        raise ValueError(
            "`indices` must be a one-dimensional array of integers. "
            f"Received: shape {indices.shape}, dtype {indices.dtype}"
        )
    if indices.size and (indices.min() < 0 or indices.max() >= 2**31):
        raise ValueError(
            f"`indices` must lie in [0, 2**31). Received: {indices.min()} … {indices.max()}"
        )
    return indices.astype("int64")
