"""From random numbers to pixels: an object with one texture on a background with another."""

import numpy as np

from srm_keras.data.texture_shapes.canvas import Canvas
from srm_keras.data.texture_shapes.draws import Draws
from srm_keras.data.texture_shapes.shapes import SHAPES
from srm_keras.data.texture_shapes.textures import TEXTURES

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
        size: side in pixels.
        draws: the images' random numbers.
        shapes: (N,) positions in `SHAPES`.
        textures: (N,) positions in `TEXTURES`, of the object.
        backgrounds: (N,) positions in `TEXTURES`.

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
    """A dark and a light tone about `centre`, mostly in brightness and a little in hue."""
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
