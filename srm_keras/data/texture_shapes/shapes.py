"""The ten shapes, each as the set of points that lie inside it.

A shape takes the coordinates (u, v) of points in the object's own frame, where it fills most of
the unit disc, and returns a boolean array. Areas are alike, so that size tells nothing.
"""

from collections.abc import Callable

import numpy as np

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
