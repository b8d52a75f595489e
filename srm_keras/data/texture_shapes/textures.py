"""The texture families, each a procedural pattern with values in [0, 1].

A family takes the canvas and one ``Draws`` of N images and returns (N, H, W) float32. It draws its
own frequency, direction and phase. Pixels see only operations that IEEE 754 rounds exactly, so
every processor gives the same image.
"""

import itertools
from collections.abc import Callable

import numpy as np

from srm_keras.data.texture_shapes.drawing import Canvas, Draws

Texture = Callable[[Canvas, Draws], np.ndarray]

_TABLE = 16  # random lattices repeat after this many cells, more than a canvas shows


def stripes(canvas: Canvas, draws: Draws) -> np.ndarray:
    """Parallel straight bands."""
    a, _ = _lattice(canvas, draws, 3.5, 7)
    return _pulse(a, _duty(draws))


def checks(canvas: Canvas, draws: Draws) -> np.ndarray:
    """A chessboard."""
    a, b = _lattice(canvas, draws, 2.5, 4)
    return ((_frac(a) < 0.5) ^ (_frac(b) < 0.5)).astype("float32")


def dots(canvas: Canvas, draws: Draws) -> np.ndarray:
    """Discs on a square lattice."""
    a, b = _lattice(canvas, draws, 3.5, 6)
    radius = _column(draws.uniform("radius", 0.24, 0.36))
    return (_centred(a) ** 2 + _centred(b) ** 2 < radius**2).astype("float32")


def waves(canvas: Canvas, draws: Draws) -> np.ndarray:
    """Parallel bands that sway."""
    a, b = _lattice(canvas, draws, 3.5, 6)
    swing = _column(draws.uniform("swing", 0.8, 1.3))
    return _pulse(a + swing * _arch(b * np.float32(0.5)), _duty(draws))


def bricks(canvas: Canvas, draws: Draws) -> np.ndarray:
    """Rows of bricks, each shifted by half a brick, with dark joints."""
    a, b = _lattice(canvas, draws, 3.5, 5)
    along = _frac(a * np.float32(0.5) + np.float32(0.5) * _odd(b))
    return ((_frac(b) > 0.26) & (along > 0.13)).astype("float32")


def rings(canvas: Canvas, draws: Draws) -> np.ndarray:
    """Concentric circles about a random point."""
    x, y = _around_a_point(canvas, draws)
    cycles = np.sqrt(x * x + y * y) * _column(draws.uniform("frequency", 2, 3.25))
    return _pulse(cycles + _column(draws.uniform("phase")), _duty(draws))


def blobs(canvas: Canvas, draws: Draws) -> np.ndarray:
    """Smooth noise, nearly thresholded: rounded patches."""
    a, b = _lattice(canvas, draws, 4, 6)
    return _clip((_noise(a, b, draws, "blobs") - np.float32(0.5)) * np.float32(8) + np.float32(0.5))


def grain(canvas: Canvas, draws: Draws) -> np.ndarray:
    """Fine smooth noise."""
    a, b = _lattice(canvas, draws, 9, 14)
    return _clip((_noise(a, b, draws, "grain") - np.float32(0.5)) * np.float32(2) + np.float32(0.5))


def grid(canvas: Canvas, draws: Draws) -> np.ndarray:
    """Thin lines in two directions."""
    a, b = _lattice(canvas, draws, 3, 5.5)
    width = _column(draws.uniform("width", 0.16, 0.26))
    return ((_frac(a) < width) | (_frac(b) < width)).astype("float32")


def cells(canvas: Canvas, draws: Draws) -> np.ndarray:
    """Worley's cells (1996), each in a flat tone of its own."""
    a, b = _lattice(canvas, draws, 3.5, 6)
    points_a, points_b = (draws.uniform(name, shape=(_TABLE, _TABLE)) for name in ("pa", "pb"))
    tones = draws.uniform("tone", shape=(_TABLE, _TABLE))
    cell_a, cell_b = np.floor(a), np.floor(b)
    rows = [(near, _row(near)) for near in (cell_a - 1, cell_a, cell_a + 1)]
    columns = [(near, _column_of(near)) for near in (cell_b - 1, cell_b, cell_b + 1)]
    nearest = np.full(a.shape, 9, "float32")
    owner = np.zeros(a.shape, "int64")
    for (near_a, row), (near_b, column) in itertools.product(rows, columns):
        entry = row + column
        across = near_a + points_a.take(entry, mode="clip") - a
        along = near_b + points_b.take(entry, mode="clip") - b
        distance = across * across + along * along
        closer = distance < nearest
        np.copyto(nearest, distance, where=closer)
        np.copyto(owner, entry, where=closer)
    return tones.take(owner, mode="clip")


def chevrons(canvas: Canvas, draws: Draws) -> np.ndarray:
    """Parallel bands that zigzag."""
    a, b = _lattice(canvas, draws, 3, 5)
    return _pulse(a + np.float32(2) * np.abs(_centred(b * np.float32(0.5))), _duty(draws))


def scales(canvas: Canvas, draws: Draws) -> np.ndarray:
    """Rows of overlapping discs, each disc dark at its centre and light at its rim."""
    a, b = _lattice(canvas, draws, 2.5, 4)
    b = b * np.float32(2)
    shifted = a + np.float32(0.5) * _odd(b)
    upper = _centred(shifted) ** 2 + (_frac(b) * np.float32(0.5)) ** 2
    lower = _centred(shifted + np.float32(0.5)) ** 2
    lower = lower + ((_frac(b) + np.float32(1)) * np.float32(0.5)) ** 2
    return _clip(np.where(upper < 0.25, upper, lower) * np.float32(3.5))


def weave(canvas: Canvas, draws: Draws) -> np.ndarray:
    """Squares of strands that run across and along in turns."""
    a, b = _lattice(canvas, draws, 1.5, 2.5)
    over = (_frac(a) < 0.5) ^ (_frac(b) < 0.5)
    return (_frac(np.where(over, a, b) * np.float32(4)) < 0.5).astype("float32")


def spiral(canvas: Canvas, draws: Draws) -> np.ndarray:
    """Arms that wind about a random point."""
    x, y = _around_a_point(canvas, draws)
    arms = _column(3 + draws.integers("arms", 4)).astype("float32")
    cycles = np.sqrt(x * x + y * y) * _column(draws.uniform("frequency", 0.75, 1.75))
    return _pulse(cycles + arms * _turn(x, y), _duty(draws))


def _column(values: np.ndarray) -> np.ndarray:
    return values[:, None, None]


def _frac(values: np.ndarray) -> np.ndarray:
    return values - np.floor(values)


def _centred(values: np.ndarray) -> np.ndarray:
    return _frac(values) - np.float32(0.5)


def _odd(values: np.ndarray) -> np.ndarray:
    """1 where the integer part is odd, else 0."""
    return (_frac(values * np.float32(0.5)) >= 0.5).astype("float32")


def _clip(values: np.ndarray) -> np.ndarray:
    return np.minimum(np.maximum(values, np.float32(0)), np.float32(1))


def _pulse(cycles: np.ndarray, duty: np.ndarray) -> np.ndarray:
    return (_frac(cycles) < duty).astype("float32")


def _arch(cycles: np.ndarray) -> np.ndarray:
    """A smooth wave between 0 and 1 with a period of 1: two parabolas that look like a sine."""
    part = _frac(cycles)
    half = _frac(part * np.float32(2))
    bow = np.float32(2) * half * (np.float32(1) - half)
    return np.float32(0.5) + np.where(part < 0.5, bow, -bow)


def _duty(draws: Draws) -> np.ndarray:
    return _column(draws.uniform("duty", 0.38, 0.62))


def _lattice(
    canvas: Canvas, draws: Draws, low: float, high: float
) -> tuple[np.ndarray, np.ndarray]:
    """Coordinates in cells, rotated and shifted at random; ``low`` to ``high`` cells a width."""
    cells_per_unit = draws.uniform("frequency", low / 2, high / 2)
    a, b = canvas.rotated(draws.uniform("angle"), cells_per_unit)
    return a + _column(draws.uniform("phase_a")), b + _column(draws.uniform("phase_b"))


def _around_a_point(canvas: Canvas, draws: Draws) -> tuple[np.ndarray, np.ndarray]:
    """The canvas coordinates, seen from a random point near the middle."""
    x = canvas.x - _column(draws.uniform("centre_x", -0.5, 0.5))
    y = canvas.y - _column(draws.uniform("centre_y", -0.5, 0.5))
    return x, y


def _turn(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The angle of (x, y) in turns, to 1e-3: an arctangent made of exactly rounded operations."""
    wide, tall = np.abs(x), np.abs(y)
    ratio = np.minimum(wide, tall) / (np.maximum(wide, tall) + np.float32(1e-9))
    octant = ratio * (np.float32(0.16845) - np.float32(0.04345) * ratio)
    quadrant = np.where(tall > wide, np.float32(0.25) - octant, octant)
    half = np.where(x < 0, np.float32(0.5) - quadrant, quadrant)
    return np.where(y < 0, -half, half)


def _row(cells_along_a: np.ndarray) -> np.ndarray:
    """Where a row of each image's table begins in the flat (N, _TABLE, _TABLE) tables."""
    images = np.arange(len(cells_along_a))[:, None, None] * (_TABLE * _TABLE)
    return images + (cells_along_a.astype("int64") & (_TABLE - 1)) * _TABLE


def _column_of(cells_along_b: np.ndarray) -> np.ndarray:
    return cells_along_b.astype("int64") & (_TABLE - 1)


def _noise(a: np.ndarray, b: np.ndarray, draws: Draws, name: str) -> np.ndarray:
    """Value noise: a random number a lattice point, joined by smoothstep interpolation."""
    table = draws.uniform(name, shape=(_TABLE, _TABLE))
    cell_a, cell_b = np.floor(a), np.floor(b)
    s, t = _smoothstep(a - cell_a), _smoothstep(b - cell_b)
    rows, columns = (_row(cell_a), _row(cell_a + 1)), (_column_of(cell_b), _column_of(cell_b + 1))
    corner = [table.take(row + column, mode="clip") for row in rows for column in columns]
    top = corner[0] + t * (corner[1] - corner[0])
    bottom = corner[2] + t * (corner[3] - corner[2])
    return top + s * (bottom - top)


def _smoothstep(t: np.ndarray) -> np.ndarray:
    return t * t * (np.float32(3) - np.float32(2) * t)


SEEN_TEXTURES: dict[str, Texture] = {
    texture.__name__: texture
    for texture in (stripes, checks, dots, waves, bricks, rings, blobs, grain, grid, cells)
}
UNSEEN_TEXTURES: dict[str, Texture] = {
    texture.__name__: texture for texture in (chevrons, scales, weave, spiral)
}
TEXTURES: dict[str, Texture] = SEEN_TEXTURES | UNSEEN_TEXTURES

SEEN_TEXTURE_NAMES = tuple(SEEN_TEXTURES)
TEXTURE_NAMES = tuple(TEXTURES)
