"""What the renderer puts into an image."""

import numpy as np

from srm_keras.data.texture_shapes import generator as module
from srm_keras.data.texture_shapes.drawing import Canvas, Draws, stream_keys

DRAWS = Draws(stream_keys(0, "render", np.arange(500)))
SHAPES = np.arange(500) % 10


def test_objects_cover_a_fair_part_of_every_image():
    cover = module._masks(Canvas(16), DRAWS, SHAPES).mean(axis=(1, 2))
    assert cover.min() > 0.08
    assert cover.max() < 0.45
    by_shape = [cover[kind::10].mean() for kind in range(10)]
    assert max(by_shape) < 1.6 * min(by_shape)


def test_objects_stand_anywhere():
    masks = module._masks(Canvas(16), DRAWS, SHAPES)
    canvas = Canvas(16)
    area = masks.sum(axis=(1, 2))
    for axis in (canvas.x, canvas.y):
        centre = (masks * axis).sum(axis=(1, 2)) / area
        assert centre.min() < -0.3
        assert centre.max() > 0.3
        assert abs(centre.mean()) < 0.05


def test_one_channel_is_the_mean_of_the_supersampled_picture():
    """The blend of averages against averaging the blended picture, in float64."""
    rng = np.random.default_rng(0)
    inside = (rng.random((1, 24, 24)) < 0.5).astype("float64")
    over, under = rng.random((2, 1, 24, 24))
    tones = np.array([[0.1, 0.9, 0.3, 0.6]])
    first, second, third, fourth = tones[0]
    picture = np.where(
        inside == 1, first + (second - first) * over, third + (fourth - third) * under
    )
    canvas = Canvas(8)
    blended = module._blend(
        canvas.average(inside),
        canvas.average(over * inside),
        canvas.average(under * (1 - inside)),
        tones,
    )
    expected = picture.reshape(1, 8, 3, 8, 3).mean(axis=(2, 4))
    np.testing.assert_allclose(blended, expected, atol=1e-6)


def test_object_and_background_differ_in_colour():
    tones = module._colours(DRAWS)
    middle, ground = tones[..., :2].mean(axis=-1), tones[..., 2:].mean(axis=-1)
    assert np.abs(middle - ground).max(axis=1).min() > 0.14
    assert (middle > ground).mean() > 0.3
    assert (middle < ground).mean() > 0.3
