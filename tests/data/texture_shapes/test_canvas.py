"""The points of an image."""

import numpy as np

from srm_keras.data.texture_shapes.drawing import SUPERSAMPLE, Canvas


def test_average_is_the_mean_over_blocks():
    values = (
        np.random.default_rng(0).random((2, 8 * SUPERSAMPLE, 8 * SUPERSAMPLE)).astype("float32")
    )
    blocks = values.reshape(2, 8, SUPERSAMPLE, 8, SUPERSAMPLE).mean(axis=(2, 4))
    np.testing.assert_allclose(Canvas(8).average(values), blocks, rtol=1e-6)


def test_points_are_the_same_at_every_size():
    small, large = Canvas(8), Canvas(24)
    np.testing.assert_allclose(small.x.ravel(), large.x.ravel()[1::3], atol=1e-6)
    np.testing.assert_allclose(small.x, -small.x[..., ::-1], atol=1e-6)
    assert small.y.ravel()[0] > small.y.ravel()[-1]


def test_rotation_follows_the_matrix():
    canvas = Canvas(8)
    turns, centre = np.array([0.15]), (np.array([0.2]), np.array([-0.3]))
    u, v = canvas.rotated(turns, np.array([[2.0], [0.5]]), centre)
    x, y = np.meshgrid(canvas.x.ravel() - 0.2, canvas.y.ravel() + 0.3)
    angle = 2 * np.pi * 0.15
    matrix = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    expected = np.diag([2.0, 0.5]) @ matrix @ np.stack([x.ravel(), y.ravel()])
    np.testing.assert_allclose(np.stack([u[0].ravel(), v[0].ravel()]), expected, atol=1e-5)
