"""The Inception crop: the window's distribution, and what is decoded of a file."""

import math

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from srm_keras.data import DatasetInfo, Examples, Preprocessing, batches, tf_images
from srm_keras.data.decode import decode

SCALE, RATIO = (0.08, 1.0), (3 / 4, 4 / 3)
RNG = np.random.default_rng(0)


def drawn(sides, scale=SCALE, ratio=RATIO, count=1500) -> np.ndarray:
    def window(k):
        return tf_images.inception_window(tf.constant(sides), scale, ratio, (0, k))

    windows = tf.data.Dataset.range(count).map(window, tf.data.AUTOTUNE).batch(count)
    return next(windows.as_numpy_iterator())


def picture(height: int, width: int) -> np.ndarray:
    """A smooth picture: JPEG keeps it well."""
    coarse = RNG.integers(0, 256, (5, 6, 3), dtype="uint8")
    return np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))


def test_windows_have_the_areas_proportions_and_places_of_the_paper():
    height, width = 300, 400
    top, left, h, w = drawn((height, width)).T.astype("float64")
    assert ((top >= 0) & (left >= 0) & (top + h <= height) & (left + w <= width)).all()
    area = h * w / (height * width)
    assert ((area > 0.078) & (area <= 1)).all()
    assert ((w / h > 0.74) & (w / h < 1.35)).all()
    # What fits is likelier for small windows; below half the area, everything fits.
    small = area < 0.5
    quarter = ((area > 0.08) & (area < 0.29)).sum()
    assert quarter == pytest.approx(small.sum() / 2, rel=0.1)
    assert np.log(w / h)[small].mean() == pytest.approx(0, abs=0.03)
    assert np.log(w / h)[small].std() == pytest.approx(math.log(16 / 9) / math.sqrt(12), rel=0.06)
    room = height - h
    assert (top[room > 50] / room[room > 50]).mean() == pytest.approx(0.5, abs=0.03)
    assert top[room > 50].min() == 0


@pytest.mark.parametrize(
    ("sides", "expected"),
    [
        ((10, 400), (0, 193, 10, 13)),  # round(10 · 4/3) wide, in the middle
        ((400, 10), (193, 0, 13, 10)),
        ((1, 1), (0, 0, 1, 1)),
    ],
)
def test_what_never_fits_becomes_the_largest_window_in_the_middle(sides, expected):
    windows = drawn(sides, scale=(0.9, 1.0), count=20)
    assert {tuple(window) for window in windows.tolist()} == {expected}


@pytest.mark.parametrize("kind", ["jpg", "png"])
def test_a_file_gives_the_window_of_the_whole_image(kind, tmp_path):
    path = tmp_path / f"image.{kind}"
    Image.fromarray(picture(90, 120)).save(path, quality=95)
    content = tf.io.read_file(str(path))
    whole = decode(content).numpy()
    preprocessing = Preprocessing(32, crop_scale=SCALE, flip=True)
    sums = []
    for k in range(12):
        seed = tf.constant([4, k], tf.int64)
        from_file = preprocessing.augmented_file(content, seed).numpy()
        from_image = preprocessing.augmented(whole, seed).numpy()
        assert from_file.shape == (32, 32, 3)
        difference = np.abs(from_file - from_image)
        assert difference.max() <= (16 if kind == "jpg" else 0)
        assert difference.mean() < 1
        sums.append(from_file.sum())
    assert len(set(sums)) == 12


def test_training_resizes_the_window_with_antialiasing_and_mirrors_half():
    image = picture(60, 80)
    preprocessing = Preprocessing(16, crop_scale=SCALE, flip=True, mean=0.0, std=1 / 255)
    mirrored = 0
    for k in range(30):
        seed = tf.constant([9, k], tf.int64)
        fold = tf.random.experimental.stateless_fold_in(seed, 1)
        top, left, h, w = tf_images.inception_window(tf.constant([60, 80]), SCALE, RATIO, fold)
        crop = image[top : top + h, left : left + w]
        channels = [
            Image.fromarray(crop[..., c].astype("float32")).resize((16, 16), Image.BILINEAR)
            for c in range(3)
        ]
        expected = np.stack([np.asarray(channel) for channel in channels], axis=-1)
        result = preprocessing.training(image, seed).numpy()
        flipped = np.abs(result[:, ::-1] - expected).max() < np.abs(result - expected).max()
        mirrored += flipped
        np.testing.assert_allclose(result[:, ::-1] if flipped else result, expected, atol=5e-3)
    assert 6 <= mirrored <= 24


def files(folder, count=12) -> Examples:
    paths = [folder / f"{k}.{'png' if k % 3 == 0 else 'jpg'}" for k in range(count)]
    for k, path in enumerate(paths):
        Image.fromarray(picture(40 + k, 50)).save(path)
    names = tuple(map(str, range(count)))
    info = DatasetInfo("files", "train", count, count, names, (None, None, 3))
    return Examples(tuple(paths), np.arange(count, dtype="int32"), info)


@pytest.mark.parametrize("scale", [None, SCALE])
def test_batches_of_files(scale, tmp_path):
    examples = files(tmp_path)
    preprocessing = Preprocessing(24, crop_scale=scale, flip=True)
    whole = list(batches(examples, preprocessing, 4, True, 7).take(8).as_numpy_iterator())
    late = batches(examples, preprocessing, 4, True, 7, start_step=5).take(3)
    for (images, labels), (more, names) in zip(whole[5:], late.as_numpy_iterator(), strict=True):
        np.testing.assert_array_equal(images, more)
        np.testing.assert_array_equal(labels, names)
    assert sorted(np.concatenate([labels for _, labels in whole[:3]])) == list(range(12))
    for images, labels in whole[:3]:
        for image, label in zip(images, labels, strict=True):
            k = np.concatenate([y for _, y in whole[:3]]).tolist().index(label)
            content = tf.io.read_file(str(examples.images[label]))
            expected = preprocessing.standardized(
                preprocessing.augmented_file(content, tf.constant([7, k], tf.int64))
            )
            np.testing.assert_allclose(image, expected, atol=1e-6)
    assert len(list(batches(examples, preprocessing, 5, training=False))) == 3
