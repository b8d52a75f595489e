"""Which shape and which texture every image of a split has."""

import numpy as np

from srm_keras.data.texture_shapes.draws import Draws, stream_keys
from srm_keras.data.texture_shapes.shapes import SHAPES
from srm_keras.data.texture_shapes.textures import SEEN_TEXTURES, TEXTURES, UNSEEN_TEXTURES

SPLITS = ("train", "test", "test_unseen_style", "cue_conflict")

LABEL_SPLITS = {
    "shape": SPLITS,
    "texture": tuple(split for split in SPLITS if split != "test_unseen_style"),
}
"""The splits of each label set: unseen textures are no classes."""

TRAIN_EXAMPLES = 20_000
TEST_EXAMPLES = 2_000  # in each of the other splits

CHANCE = 1 / len(SHAPES)
"""The `cue_correlation` at which the texture says nothing about the shape."""

_KINDS = len(SHAPES)  # as many seen textures as shapes: shape k goes with texture k
_BLOCK = _KINDS * _KINDS


def labels(
    seed: int, split: str, indices: np.ndarray, cue_correlation: float
) -> tuple[np.ndarray, np.ndarray]:
    """Shape and object texture of each image.

    Every run of 100 images that starts at a multiple of 100 holds each shape ten times, and each
    of these with its own tenth of the cumulative texture distribution. So labels are balanced in
    small samples too, and at `CHANCE` all 100 pairs occur once.

    Args:
        seed: the data set's seed.
        split: one of `SPLITS`.
        indices: (N,) non-negative integers.
        cue_correlation: in `train` and `test`, the probability that shape k has texture k.

    Returns:
        Two (N,) int32 arrays: shapes as positions in `SHAPES`, textures in `TEXTURES`.
    """
    keys = stream_keys(seed, f"{split}/labels", indices)
    slots = _slots(seed, split, indices)
    shapes, tenths = slots % _KINDS, slots // _KINDS
    place = tenths + Draws(keys).uniform("place").astype("float64")
    if split == "test_unseen_style":
        textures = len(SEEN_TEXTURES) + np.floor(place * len(UNSEEN_TEXTURES) / _KINDS)
    else:
        agreement = 0.0 if split == "cue_conflict" else cue_correlation
        textures = (shapes + _offsets(place, agreement)) % _KINDS
    return shapes.astype("int32"), textures.astype("int32")


def backgrounds(draws: Draws, split: str, textures: np.ndarray) -> np.ndarray:
    """The background's texture: another family than the object's, of the same group.

    Args:
        draws: the images' random numbers.
        split: one of `SPLITS`.
        textures: (N,) the objects' textures.

    Returns:
        (N,) int64 positions in `TEXTURES`.
    """
    first, count = 0, len(SEEN_TEXTURES)
    if split == "test_unseen_style":
        first, count = len(SEEN_TEXTURES), len(TEXTURES) - len(SEEN_TEXTURES)
    step = 1 + draws.integers("background", count - 1)
    return first + (textures - first + step) % count


def _slots(seed: int, split: str, indices: np.ndarray) -> np.ndarray:
    """Each image's place in the random permutation of its run of 100."""
    runs, row = np.unique(indices // _BLOCK, return_inverse=True)
    shuffle = Draws(stream_keys(seed, f"{split}/runs", runs)).bits("order", (_BLOCK,))
    return np.argsort(shuffle, axis=1, kind="stable")[row, indices % _BLOCK]


def _offsets(place: np.ndarray, agreement: float) -> np.ndarray:
    """0 with probability `agreement`, else 1 … 9 alike; `place` is uniform in [0, 10)."""
    threshold = _KINDS * agreement
    if agreement == 1:
        return np.zeros(len(place), "int64")
    other = (place - threshold) * ((_KINDS - 1) / (_KINDS - threshold))
    other = np.clip(np.floor(other).astype("int64"), 0, _KINDS - 2)
    return np.where(place < threshold, 0, 1 + other)
