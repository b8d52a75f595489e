"""The texture families."""

import numpy as np
import pytest

from srm_keras.data.texture_shapes import textures
from srm_keras.data.texture_shapes.drawing import SUPERSAMPLE, Canvas, Draws, stream_keys

CANVAS = Canvas(32)
DRAWS = Draws(stream_keys(0, "textures", np.arange(40)))


def test_seen_and_unseen_families():
    assert len(textures.SEEN_TEXTURES) == 10
    assert len(textures.UNSEEN_TEXTURES) == 4
    assert not set(textures.SEEN_TEXTURES) & set(textures.UNSEEN_TEXTURES)
    assert textures.TEXTURE_NAMES[:10] == textures.SEEN_TEXTURE_NAMES


@pytest.mark.parametrize("name", textures.TEXTURE_NAMES)
def test_patterns_fill_the_unit_interval_and_vary(name):
    patterns = textures.TEXTURES[name](CANVAS, DRAWS)
    assert patterns.shape == (40, 32 * SUPERSAMPLE, 32 * SUPERSAMPLE)
    assert patterns.dtype == np.float32
    assert patterns.min() >= 0
    assert patterns.max() <= 1
    means = patterns.mean(axis=(1, 2))
    assert ((means > 0.1) & (means < 0.9)).all()
    assert (patterns.std(axis=(1, 2)) > 0.1).all()
    assert len(np.unique(patterns.reshape(40, -1), axis=0)) == 40


@pytest.mark.parametrize("name", textures.TEXTURE_NAMES)
def test_a_pattern_depends_on_its_own_draws_alone(name):
    patterns = textures.TEXTURES[name](CANVAS, DRAWS)
    which = np.array([7, 3])
    np.testing.assert_array_equal(textures.TEXTURES[name](CANVAS, DRAWS[which]), patterns[which])


def test_angles_are_those_of_arctan2():
    angle = np.linspace(-np.pi, np.pi, 1001)[1:-1]
    x, y = (1.7 * f(angle).astype("float32") for f in (np.cos, np.sin))
    error = textures._turn(x, y) - np.arctan2(y, x) / (2 * np.pi)
    assert np.abs(error).max() < 1e-3


def test_cells_show_the_tone_of_the_nearest_point():
    """Against a brute-force search among all points of the repeated lattice."""
    canvas, draws = Canvas(8), DRAWS[:1]
    a, b = (part[0].astype("float64") for part in textures._lattice(canvas, draws, 3.5, 6))
    table = {name: draws.uniform(name, shape=(16, 16))[0] for name in ("pa", "pb", "tone")}
    best, tone = np.full(a.shape, np.inf), np.zeros(a.shape)
    for i in range(-16, 16):
        for j in range(-16, 16):
            entry = i % 16, j % 16
            distance = np.hypot(i + table["pa"][entry] - a, j + table["pb"][entry] - b)
            tone = np.where(distance < best, table["tone"][entry], tone)
            best = np.minimum(best, distance)
    drawn = textures.cells(canvas, draws)[0]
    assert (drawn == tone.astype("float32")).mean() > 0.98  # nine neighbours: nearly always exact
