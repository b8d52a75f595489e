"""`Preprocessing` against NumPy in float64 and Pillow."""

import json
import re

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from srm_keras.data import Preprocessing

RNG = np.random.default_rng(0)


def picture(height: int, width: int, channels: int = 3) -> np.ndarray:
    return RNG.integers(0, 256, (height, width, channels), dtype="uint8")


def cropped_or_padded(image: np.ndarray, size: int) -> np.ndarray:
    """The middle `size` x `size`, from the lower corner if it cannot be the middle exactly."""
    for axis in (0, 1):
        extra = size - image.shape[axis]
        if extra > 0:
            widths = [(0, 0)] * 3
            widths[axis] = (extra // 2, extra - extra // 2)
            image = np.pad(image, widths)
        else:
            image = np.take(image, np.arange(size) + (-extra) // 2, axis=axis)
    return image


def standardized(image: np.ndarray, mean, std) -> np.ndarray:
    return (image.astype("float64") / 255 - np.array(mean)) / np.array(std)


@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 24))
@settings(max_examples=40, deadline=None)
def test_evaluation_is_the_standardized_middle(height, width, size):
    image = picture(height, width)
    preprocessing = Preprocessing(size, mean=(0.4, 0.5, 0.6), std=(0.2, 0.25, 0.3))
    result = preprocessing.evaluation(image)
    assert result.shape == (size, size, 3)
    assert result.dtype == tf.float32
    expected = standardized(cropped_or_padded(image, size), (0.4, 0.5, 0.6), (0.2, 0.25, 0.3))
    np.testing.assert_allclose(result, expected, atol=1e-5)


@pytest.mark.parametrize(
    ("height", "width", "resized"),
    [
        (50, 75, (20, 30)),
        (75, 50, (30, 20)),
        (33, 47, (20, 28)),
        (9, 13, (20, 28)),
        (20, 20, (20, 20)),
    ],
)
@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
def test_resize_is_pillows_with_antialiasing(height, width, resized, interpolation):
    image = picture(height, width)
    resampling = Image.Resampling[interpolation.upper()]
    channels = [
        np.asarray(
            Image.fromarray(image[..., c].astype("float32")).resize(resized[::-1], resampling)
        )
        for c in range(3)
    ]
    whole = np.clip(np.stack(channels, axis=-1), 0, 255)
    expected = standardized(cropped_or_padded(whole, 16), 0.5, 0.5)
    result = Preprocessing(16, resize=20, interpolation=interpolation).evaluation(image)
    np.testing.assert_allclose(result, expected, atol=2e-3)


def test_evaluation_of_a_batch_equals_that_of_its_images():
    images = np.stack([picture(30, 44) for _ in range(3)])
    preprocessing = Preprocessing(20, resize=24)
    together = preprocessing.evaluation(images)
    assert together.shape == (3, 20, 20, 3)
    for image, result in zip(images, together, strict=True):
        np.testing.assert_allclose(preprocessing.evaluation(image), result, atol=1e-6)


@pytest.mark.parametrize("resize", [None, 24])
@pytest.mark.parametrize("shape", [(None, None, None, 3), (None, None, 3)])
def test_evaluation_can_be_exported_with_unknown_sizes(resize, shape, tmp_path):
    preprocessing = Preprocessing(20, resize=resize)
    module = tf.Module()
    module.serve = tf.function(
        preprocessing.evaluation, input_signature=[tf.TensorSpec(shape, tf.uint8)]
    )
    tf.saved_model.save(module, str(tmp_path))
    image = picture(30, 44)[(None,) * (len(shape) - 3)]
    served = tf.saved_model.load(str(tmp_path)).serve(image)
    np.testing.assert_allclose(served, preprocessing.evaluation(image), atol=1e-6)


def test_grey_images_become_three_equal_channels():
    image = picture(8, 8, 1)
    result = Preprocessing(8, mean=(0.0,), std=(1.0,)).evaluation(image)
    np.testing.assert_allclose(result, np.repeat(image, 3, axis=-1) / 255, atol=1e-6)
    assert Preprocessing(8, channels=1).evaluation(image).shape == (8, 8, 1)


def test_colour_images_are_refused_where_grey_is_asked_for():
    with pytest.raises(ValueError, match="`channels` must be that of the images, 3"):
        Preprocessing(8, channels=1).evaluation(picture(8, 8))


@given(
    st.integers(4, 30), st.integers(4, 30), st.integers(0, 5), st.booleans(), st.integers(0, 2**40)
)
@settings(max_examples=40, deadline=None)
def test_training_is_a_window_of_the_padded_image(height, width, pad, flip, k):
    image, size = picture(height, width), 12
    preprocessing = Preprocessing(size, pad=pad, flip=flip)
    result = preprocessing.training(image, tf.constant([7, k], tf.int64))
    expected = training_reference(image, size, pad, flip, (7, k))
    np.testing.assert_allclose(result, expected, atol=1e-5)


def training_reference(image, size, pad, flip, seed):
    draws = np.asarray(
        tf.random.stateless_uniform((3,), tf.constant(seed, tf.int64), alg="philox"), "float64"
    )
    image = np.pad(image, ((pad, pad), (pad, pad), (0, 0)))
    for axis in (0, 1):
        extra = max(0, size - image.shape[axis])
        widths = [(0, 0)] * 3
        widths[axis] = (extra // 2, extra - extra // 2)
        image = np.pad(image, widths)
        start = int(draws[axis] * (image.shape[axis] - size + 1))
        image = np.take(image, np.arange(start, start + size), axis=axis)
    if flip and draws[2] < 0.5:
        image = image[:, ::-1]
    return standardized(image, 0.5, 0.5)


def test_every_place_and_both_directions_come_alike():
    image = np.arange(16 * 16, dtype="uint8").reshape(16, 16, 1).repeat(3, axis=-1)
    preprocessing = Preprocessing(14, pad=1, flip=True, mean=(0.0,), std=(1 / 255,))
    draws = tf.data.Dataset.range(2000).map(lambda k: preprocessing.training(image, (0, k)))
    results = np.stack(list(draws.as_numpy_iterator()))
    windows, counts = np.unique(np.rint(results).reshape(2000, -1), axis=0, return_counts=True)
    assert len(windows) == 5 * 5 * 2
    np.testing.assert_allclose(counts, 40, atol=6 * np.sqrt(40))


def test_training_resizes_first():
    image = np.full((40, 60, 3), 51, "uint8")
    preprocessing = Preprocessing(16, resize=20, mean=(0.0,), std=(1.0,))
    result = preprocessing.training(image, tf.constant([0, 0]))
    np.testing.assert_allclose(result, 0.2, atol=1e-6)
    image[:, 30:] = 255
    results = [preprocessing.training(image, tf.constant([0, k])) for k in range(30)]
    starts = {int((np.asarray(r)[8, :, 0] < 0.5).sum()) for r in results}
    assert len(starts) > 8  # the border moves with the crop


def test_training_without_augmentation_equals_evaluation():
    image = picture(12, 12)
    preprocessing = Preprocessing(12)
    np.testing.assert_array_equal(
        preprocessing.training(image, tf.constant([1, 2])), preprocessing.evaluation(image)
    )


def test_round_trip_through_json():
    preprocessing = Preprocessing(
        32, channels=3, resize=40, mean=(0.1, 0.2, 0.3), std=(0.5,), pad=4, flip=True
    )
    attributes = json.loads(json.dumps(preprocessing.to_dict()))
    assert Preprocessing.from_dict(attributes) == preprocessing
    assert hash(Preprocessing.from_dict(attributes)) == hash(preprocessing)
    assert Preprocessing(8, mean=0.5) == Preprocessing(8, mean=[0.5])
    of_numpy = Preprocessing(
        np.int64(32),
        channels=np.uint8(3),
        resize=np.int32(40),
        mean=np.array([0.1, 0.2, 0.3]),
        std=np.float64(0.5),
        pad=np.int64(4),
        flip=np.bool_(True),
    )
    assert json.loads(json.dumps(of_numpy.to_dict())) == attributes


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"image_size": -3}, "`image_size` must be a positive integer. Received: image_size=-3"),
        ({"image_size": 8.0}, "`image_size` must be a positive integer"),
        ({"channels": 4}, "`channels` must be one of [1, 3]. Received: channels=4"),
        ({"resize": 7}, "`resize` must be at least image_size=8. Received: resize=7"),
        ({"resize": "9"}, "`resize` must be a positive integer"),
        ({"pad": -1}, "`pad` must be an integer of at least 0. Received: pad=-1"),
        ({"pad": True}, "`pad` must be an integer of at least 0. Received: pad=True"),
        ({"flip": 1}, "`flip` must be True or False. Received: flip=1"),
        ({"mean": (0.1, 0.2)}, "`mean` must be one number or one for each of the 3 channels"),
        ({"mean": "half"}, "`mean` must be one number or one for each of the 3 channels"),
        ({"mean": (float("nan"),)}, "`mean` must be one number or one for each"),
        ({"std": 0}, "`std` must be positive. Received: std=(0.0,)"),
        ({"std": (1, 1, -1)}, "`std` must be positive"),
        ({"std": None}, "`std` must be one number or one for each"),
        ({"imagesize": 3}, "no attribute 'imagesize' (did you mean 'image_size'?)"),
    ],
)
def test_bad_attributes(change, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        Preprocessing.from_dict({"image_size": 8, **change})


def test_image_size_is_required():
    with pytest.raises(ValueError, match="`image_size` is required"):
        Preprocessing.from_dict({"channels": 3})
