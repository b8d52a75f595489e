"""Random numbers, the points of an image, and the ten shapes.

An image's numbers come from a key, a hash of (seed, split, index); a number's place in that stream
comes from its name. So the order in which images are drawn does not matter, and a new quantity
never shifts the old ones.

A shape takes the coordinates (u, v) of points in the object's own frame, where it fills most of
the unit disc, and returns a boolean array. Areas are alike, so that size tells nothing.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable

import numpy as np

SUPERSAMPLE = 3  # points a pixel in each direction, averaged: the anti-aliasing


class Canvas:
    """A square of ``size * SUPERSAMPLE`` points a side over [-1, 1] x [-1, 1], y upwards.

    Args:
        size: Side of the image in pixels.
    """

    def __init__(self, size: int):
        points = size * SUPERSAMPLE
        centres = (np.arange(points, dtype="float32") + np.float32(0.5)) * np.float32(2 / points)
        self.size = size
        self.x = (centres - np.float32(1))[None, None, :]
        self.y = (np.float32(1) - centres)[None, :, None]

    def rotated(
        self,
        turns: np.ndarray,
        scale: np.ndarray,
        centre: tuple[np.ndarray, np.ndarray] | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """The points' coordinates in N frames, each turned, scaled and moved in its own way.

        Args:
            turns: (N,) rotation in turns, counter-clockwise.
            scale: (N,) what coordinates are multiplied by, or a pair of them, (2, N).
            centre: The frames' origins, two (N,) arrays. Default: the middle of the canvas.

        Returns:
            Two (N, points, points) float32 arrays.
        """
        angle = turns.astype("float64") * (2 * np.pi)
        cosine, sine = (f(angle).astype("float32")[:, None, None] for f in (np.cos, np.sin))
        first, second = np.broadcast_to(scale, (2, len(turns)))[..., None, None]
        x, y = self.x, self.y
        if centre is not None:
            x, y = x - centre[0][:, None, None], y - centre[1][:, None, None]
        return (
            x * (first * cosine) + y * (first * sine),
            y * (second * cosine) - x * (second * sine),
        )

    def average(self, values: np.ndarray) -> np.ndarray:
        """(N, points, points) to the (N, size, size) means over each pixel's points."""
        total = np.zeros((len(values), self.size, self.size), "float32")
        for row in range(SUPERSAMPLE):
            for column in range(SUPERSAMPLE):
                total += values[:, row::SUPERSAMPLE, column::SUPERSAMPLE]
        return total * np.float32(1 / SUPERSAMPLE**2)


_GAMMA = np.uint64(0x9E3779B97F4A7C15)


def mix(values: np.ndarray) -> np.ndarray:
    """The finaliser of SplitMix64 (Steele, Lea and Flood 2014, section 3): uint64 to uint64."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def _fold(keys: np.ndarray, data: np.ndarray) -> np.ndarray:
    return mix(keys + (data + np.uint64(1)) * _GAMMA)


def stream_keys(seed: int, name: str, indices: np.ndarray) -> np.ndarray:
    """One uint64 key for each index of the stream ``name``.

    Args:
        seed: Integer in [0, 2**63).
        name: Name of the stream.
        indices: (N,) non-negative integers.

    Returns:
        (N,) uint64 keys.
    """
    root = mix(np.array([seed], "uint64"))
    root = _fold(root, np.array([zlib.crc32(name.encode())], "uint64"))
    return _fold(root, np.asarray(indices).astype("uint64"))


class Draws:
    """Named uniform numbers for N images.

    Args:
        keys: (N,) uint64, one key an image.
    """

    def __init__(self, keys: np.ndarray):
        self.keys = keys

    def __len__(self) -> int:
        return len(self.keys)

    def __getitem__(self, which: np.ndarray | slice) -> Draws:
        return Draws(self.keys[which])

    def stream(self, name: str) -> Draws:
        """An independent set of numbers for the same images."""
        return Draws(self._child(name))

    def bits(self, name: str, shape: tuple[int, ...] = ()) -> np.ndarray:
        """(N, *shape) uint64."""
        slots = np.arange(np.prod(shape, dtype=int), dtype="uint64")
        return _fold(self._child(name)[:, None], slots).reshape(len(self), *shape)

    def _child(self, name: str) -> np.ndarray:
        return _fold(self.keys, np.array([zlib.crc32(name.encode())], "uint64"))

    def uniform(
        self, name: str, low: float = 0.0, high: float = 1.0, shape: tuple[int, ...] = ()
    ) -> np.ndarray:
        """(N, *shape) float32, uniform in [low, high)."""
        unit = (self.bits(name, shape) >> np.uint64(40)).astype("float32") * np.float32(2**-24)
        return np.float32(low) + np.float32(high - low) * unit

    def integers(self, name: str, count: int) -> np.ndarray:
        """(N,) int64, uniform in 0 … count - 1."""
        return (self.bits(name) >> np.uint64(32)).astype("int64") * count >> 32

    def normal(self, name: str, shape: tuple[int, ...] = ()) -> np.ndarray:
        """(N, *shape) float32 of mean 0 and variance 1, nearly normal.

        The sum of the four 16-bit quarters of one hash (Irwin-Hall): only exact operations, so
        every processor gives the same numbers.
        """
        quarters = self.bits(name, shape).view("uint16").reshape(len(self), *shape, 4)
        first, second, third, fourth = (quarters[..., k].astype("float32") for k in range(4))
        total = first + second + third + fourth
        return (total - np.float32(2 * 65535)) * np.float32(3**0.5 / 65536)


Shape = Callable[[np.ndarray, np.ndarray], np.ndarray]


def disc(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """A filled circle."""
    return u * u + v * v < 0.78**2


def ring(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """A circle with a round hole."""
    radius = u * u + v * v
    return (radius > 0.48**2) & (radius < 0.95**2)


def square(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Four equal sides."""
    return np.maximum(np.abs(u), np.abs(v)) < 0.7


def triangle(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Three equal sides."""
    sides = np.float32(3**0.5 / 2) * np.abs(u) + np.float32(0.5) * v
    return np.maximum(-v, sides) < 0.56


def star(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """A pentagram: the points that at least four of its five lines have on the inner side."""
    inside = np.zeros(u.shape, "uint8")
    for k in range(5):
        turn = 2 * np.pi * k / 5
        inside += u * np.float32(np.sin(turn)) + v * np.float32(np.cos(turn)) < 0.37
    return inside >= 4


def cross(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Two equal strokes at a right angle, joined at their middles."""
    u, v = np.abs(u), np.abs(v)
    return (np.minimum(u, v) < 0.28) & (np.maximum(u, v) < 0.95)


def bar(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """A rectangle three times as long as it is wide."""
    return (np.abs(u) < 1.15) & (np.abs(v) < 0.36)


def crescent(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """A disc less a smaller disc."""
    squares = v * v
    bite = u - np.float32(0.5)
    return (u * u + squares < 0.98**2) & (bite * bite + squares > 0.75**2)


def heart(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """(u² + v² − 1)³ < u² v³, the usual sextic, scaled to the unit disc."""
    u, v = u * np.float32(1.4), v * np.float32(1.4) + np.float32(0.1)
    u2, v2 = u * u, v * v
    round_part = u2 + v2 - np.float32(1)
    return round_part * round_part * round_part < u2 * v2 * v


def ell(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Two equal strokes at a right angle, joined at their ends."""
    return (np.maximum(np.abs(u), np.abs(v)) < 0.82) & (np.minimum(u, v) < -0.24)


SHAPES: dict[str, Shape] = {
    shape.__name__: shape
    for shape in (disc, ring, square, triangle, star, cross, bar, crescent, heart, ell)
}

SHAPE_NAMES = tuple(SHAPES)
