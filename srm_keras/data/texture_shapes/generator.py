"""The generator: (seed, split, index) to an image and its two labels."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from srm_keras.data import checks
from srm_keras.data.texture_shapes.drawing import SHAPES, Canvas, Draws, stream_keys
from srm_keras.data.texture_shapes.textures import SEEN_TEXTURES, TEXTURES, UNSEEN_TEXTURES
from srm_keras.support.validation import fraction, one_of, positive_int

SPLITS = ("train", "test", "test_unseen_style", "cue_conflict")

LABEL_SPLITS = {
    "shape": SPLITS,
    "texture": tuple(split for split in SPLITS if split != "test_unseen_style"),
}
"""The splits of each label set: unseen textures are no classes."""

TRAIN_EXAMPLES = 20_000
TEST_EXAMPLES = 2_000  # in each of the other splits

CHANCE = 1 / len(SHAPES)
"""The ``cue_correlation`` at which the texture says nothing about the shape."""

_KINDS = len(SHAPES)  # as many seen textures as shapes: shape k goes with texture k
_BLOCK = _KINDS * _KINDS


def labels(
    seed: int, split: str, indices: np.ndarray, cue_correlation: float
) -> tuple[np.ndarray, np.ndarray]:
    """Shape and object texture of each image.

    Every run of 100 images that starts at a multiple of 100 holds each shape ten times, and each
    of these with its own tenth of the cumulative texture distribution. So labels are balanced in
    small samples too, and at ``CHANCE`` all 100 pairs occur once.

    Args:
        seed: The data set's seed.
        split: One of ``SPLITS``.
        indices: (N,) non-negative integers.
        cue_correlation: In ``train`` and ``test``, the probability that shape k has texture k.

    Returns:
        Two (N,) int32 arrays: shapes as positions in ``SHAPES``, textures in ``TEXTURES``.
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


def background_textures(draws: Draws, split: str, textures: np.ndarray) -> np.ndarray:
    """The background's texture: another family than the object's, of the same group.

    Args:
        draws: The images' random numbers.
        split: One of ``SPLITS``.
        textures: (N,) the objects' textures.

    Returns:
        (N,) int64 positions in ``TEXTURES``.
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
    """0 with probability ``agreement``, else 1 … 9 alike; ``place`` is uniform in [0, 10)."""
    threshold = _KINDS * agreement
    if agreement == 1:
        return np.zeros(len(place), "int64")
    other = (place - threshold) * ((_KINDS - 1) / (_KINDS - threshold))
    other = np.clip(np.floor(other).astype("int64"), 0, _KINDS - 2)
    return np.where(place < threshold, 0, 1 + other)


_SHAPES = tuple(SHAPES.values())
_TEXTURES = tuple(TEXTURES.values())

OBJECT_CONTRAST = (0.12, 0.3)
BACKGROUND_CONTRAST = (0.05, 0.18)
COLOUR_DISTANCE = (0.15, 0.5)  # between object and background, in each colour channel
ROTATION = (-0.125, 0.125)  # in turns
ILLUMINATION = (0.0, 0.3)
NOISE = (0.01, 0.04)


def render(
    size: int, draws: Draws, shapes: np.ndarray, textures: np.ndarray, backgrounds: np.ndarray
) -> np.ndarray:
    """Draws N images.

    Args:
        size: Side in pixels.
        draws: The images' random numbers.
        shapes: (N,) positions in ``SHAPES``.
        textures: (N,) positions in ``TEXTURES``, of the object.
        backgrounds: (N,) positions in ``TEXTURES``.

    Returns:
        (N, size, size, 3) uint8.
    """
    canvas = Canvas(size)
    inside = _masks(canvas, draws, shapes)
    over = _patterns(canvas, draws, textures, "object")
    under = _patterns(canvas, draws, backgrounds, "background")
    cover = canvas.average(inside)
    over = canvas.average(over * inside)
    under = canvas.average(under * (np.float32(1) - inside))
    colours = _colours(draws)
    pixels = np.stack([_blend(cover, over, under, colours[:, c]) for c in range(3)], axis=-1)
    pixels = pixels * _illumination(draws, size)[..., None] + _noise(draws, size)
    return np.floor(np.clip(pixels, 0, 1) * np.float32(255) + np.float32(0.5)).astype("uint8")


def _masks(canvas: Canvas, draws: Draws, shapes: np.ndarray) -> np.ndarray:
    """(N, points, points) float32: 1 inside the object, else 0."""
    radius = draws.uniform("radius", 0.6, 0.85)
    stretch = draws.uniform("stretch", -0.12, 0.12)
    room = np.float32(1) - np.float32(0.9) * radius
    centre = (room * draws.uniform("x", -1, 1), room * draws.uniform("y", -1, 1))
    scale = np.stack([(1 + stretch) / radius, (1 - stretch) / radius])
    u, v = canvas.rotated(draws.uniform("rotation", *ROTATION), scale, centre)
    inside = np.empty(u.shape, "float32")
    for kind in np.unique(shapes):
        which = shapes == kind
        inside[which] = _SHAPES[kind](u[which], v[which])
    return inside


def _patterns(canvas: Canvas, draws: Draws, textures: np.ndarray, role: str) -> np.ndarray:
    """(N, points, points) float32 in [0, 1]; object and background draw different numbers."""
    draws = draws.stream(role)
    points = canvas.x.size
    patterns = np.empty((len(draws), points, points), "float32")
    for kind in np.unique(textures):
        which = textures == kind
        patterns[which] = _TEXTURES[kind](canvas, draws[which])
    return patterns


def _colours(draws: Draws) -> np.ndarray:
    """(N, 3, 4) float32: for each channel the object's two tones and the background's two."""
    ground = draws.uniform("ground", 0.15, 0.85, (3,))
    distance = draws.uniform("distance", *COLOUR_DISTANCE, (3,))
    upwards = draws.uniform("upwards", 0.25, 0.75, (3,)) > ground
    middle = np.clip(ground + np.where(upwards, distance, -distance), 0.1, 0.9)
    tones = [
        tone
        for centre, role, contrast in (
            (middle, "object", OBJECT_CONTRAST),
            (ground, "background", BACKGROUND_CONTRAST),
        )
        for tone in _two_tones(centre, draws.stream(role), contrast)
    ]
    return np.stack(tones, axis=-1)


def _two_tones(
    centre: np.ndarray, draws: Draws, contrast: tuple[float, float]
) -> tuple[np.ndarray, np.ndarray]:
    """A dark and a light tone about ``centre``, mostly in brightness and a little in hue."""
    swing = draws.uniform("contrast", *contrast)[:, None] * draws.uniform("hue", 0.5, 1.2, (3,))
    swing = np.where(draws.uniform("sign") < 0.5, -1, 1).astype("float32")[:, None] * swing
    return centre - swing, centre + swing


def _blend(cover: np.ndarray, over: np.ndarray, under: np.ndarray, tones: np.ndarray) -> np.ndarray:
    """One channel; averages of products with the mask, so exact at edges."""
    first, second, third, fourth = tones.T[:, :, None, None]
    return (
        first * cover
        + (second - first) * over
        + third * (np.float32(1) - cover)
        + (fourth - third) * under
    )


def _illumination(draws: Draws, size: int) -> np.ndarray:
    """(N, size, size): light that falls off across the image in a random direction."""
    steps = (np.arange(size, dtype="float32") + np.float32(0.5)) * np.float32(2 / size)
    steps = steps - np.float32(1)
    slope = draws.uniform("slope", *ILLUMINATION)
    angle = draws.uniform("light").astype("float64") * (2 * np.pi)
    across = (slope * np.cos(angle).astype("float32"))[:, None, None] * steps[None, None, :]
    along = (slope * np.sin(angle).astype("float32"))[:, None, None] * steps[None, :, None]
    return np.float32(1) + across + along


def _noise(draws: Draws, size: int) -> np.ndarray:
    level = draws.uniform("noise_level", *NOISE)[:, None, None, None]
    return level * draws.normal("noise", (size, size, 3))


GENERATOR_VERSION = "1.0.0"
"""Changes whenever an image would: results on two versions cannot be compared."""

MIN_SIZE = 8

_BATCH_POINTS = 128 * 32 * 32  # images are drawn in groups that stay in the processor's cache


class Examples(NamedTuple):
    """What ``examples`` returns, N images long.

    Attributes:
        images: (N, size, size, 3) uint8.
        shapes: (N,) int32, positions in ``SHAPE_NAMES``.
        textures: (N,) int32, positions in ``TEXTURE_NAMES``, of the object.
    """

    images: np.ndarray
    shapes: np.ndarray
    textures: np.ndarray


class Example(NamedTuple):
    """What ``example`` returns.

    Attributes:
        image: (size, size, 3) uint8.
        shape: Position in ``SHAPE_NAMES``.
        texture: Position in ``TEXTURE_NAMES``, of the object.
    """

    image: np.ndarray
    shape: int
    texture: int


def examples(
    seed: int,
    split: str,
    indices: Sequence[int] | np.ndarray,
    size: int = 32,
    cue_correlation: float = CHANCE,
) -> Examples:
    """Draws the images of a split that have the given indices.

    Every image is a pure function of the arguments and its own index: the others that are drawn
    with it, their order and the processor change no byte.

    Args:
        seed: Integer in [0, 2**63).
        split: ``"train"``, ``"test"``, ``"test_unseen_style"`` or ``"cue_conflict"``.
        indices: (N,) integers in [0, 2**31).
        size: Side of the images in pixels. The same index is the same scene at every size.
        cue_correlation: Probability that an object of shape k has texture k, in ``train`` and
            ``test``; the rest is spread over the nine other textures. 0.1 is chance. The two other
            splits do not depend on it.

    Returns:
        ``Examples``: uint8 images and int32 labels.

    Raises:
        ValueError: If an argument is out of its range.
    """
    seed, size, cue_correlation = check_arguments(seed, split, size, cue_correlation)
    indices = checks.positions(indices, 2**31, "indices").astype("int64")
    step = max(1, _BATCH_POINTS // size**2)
    groups = [
        _group(seed, split, indices[start : start + step], size, cue_correlation)
        for start in range(0, max(1, len(indices)), step)
    ]
    return Examples(*(np.concatenate(parts) for parts in zip(*groups, strict=True)))


def example(
    seed: int, split: str, index: int, size: int = 32, cue_correlation: float = CHANCE
) -> Example:
    """Draws one image; see ``examples``, which is faster for many."""
    drawn = examples(seed, split, [index], size, cue_correlation)
    return Example(drawn.images[0], int(drawn.shapes[0]), int(drawn.textures[0]))


def check_arguments(
    seed: int, split: str, size: int, cue_correlation: float
) -> tuple[int, int, float]:
    """Returns seed, size and correlation; raises the ``ValueError``s that ``examples`` promises."""
    one_of("split", split, SPLITS)
    seed = checks.seed_in_range(seed)
    size = positive_int("size", size)
    if size < MIN_SIZE:
        raise ValueError(f"`size` must be at least {MIN_SIZE} pixels. Received: size={size}")
    return seed, size, fraction("cue_correlation", cue_correlation)


def _group(
    seed: int, split: str, indices: np.ndarray, size: int, cue_correlation: float
) -> Examples:
    shapes, textures = labels(seed, split, indices, cue_correlation)
    draws = Draws(stream_keys(seed, split, indices))
    backgrounds = background_textures(draws, split, textures)
    return Examples(render(size, draws, shapes, textures, backgrounds), shapes, textures)
