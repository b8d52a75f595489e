"""The shapes, by their areas and symmetries."""

import numpy as np
import pytest

from srm_keras.data.texture_shapes.drawing import SHAPE_NAMES, SHAPES

SIDE = np.linspace(-1.3013, 1.3007, 1201, dtype="float32")
U, V = np.meshgrid(SIDE, SIDE)
COARSE = (U[::6, ::6], V[::6, ::6])
TAN_36, TAN_72 = np.tan(np.pi / 5), np.tan(2 * np.pi / 5)
CELL = float(SIDE[1] - SIDE[0]) ** 2


def test_there_are_ten():
    assert len(SHAPES) == len(set(SHAPE_NAMES)) == 10


@pytest.mark.parametrize("name", SHAPE_NAMES)
def test_areas_are_alike_and_inside_the_frame(name):
    inside = SHAPES[name](U, V)
    assert inside.dtype == bool
    assert 1.5 < inside.sum() * CELL < 2.2
    assert np.hypot(U, V)[inside].max() < 1.25


@pytest.mark.parametrize(
    ("name", "area"),
    [
        ("disc", np.pi * 0.78**2),
        ("ring", np.pi * (0.95**2 - 0.48**2)),
        ("square", 1.4**2),
        ("triangle", 3 * 3**0.5 * 0.56**2),
        ("bar", 2.3 * 0.72),
        ("cross", 2 * 1.9 * 0.56 - 0.56**2),
        ("ell", 1.64**2 - 1.06**2),
        ("star", 5 * TAN_36 * 0.37**2 * (1 + TAN_36 * TAN_72)),
    ],
)
def test_areas_that_geometry_gives(name, area):
    """The star is a pentagon of inradius 0.37 and five tips."""
    assert SHAPES[name](U, V).sum() * CELL == pytest.approx(area, rel=0.01)


@pytest.mark.parametrize("name", SHAPE_NAMES)
def test_no_other_shape_looks_the_same_under_any_rotation(name):
    across, along = COARSE
    inside = SHAPES[name](across, along)
    for other in set(SHAPE_NAMES) - {name}:
        for turn in np.linspace(0, 2 * np.pi, 24, endpoint=False):
            u = np.float32(np.cos(turn)) * across + np.float32(np.sin(turn)) * along
            v = np.float32(np.cos(turn)) * along - np.float32(np.sin(turn)) * across
            rotated = SHAPES[other](u, v)
            assert (inside & rotated).sum() < 0.9 * (inside | rotated).sum()


@pytest.mark.parametrize("name", ["triangle", "star", "heart"])
def test_mirror_symmetry(name):
    np.testing.assert_array_equal(SHAPES[name](U, V), SHAPES[name](-U, V))
