"""RandAugment, MixUp and CutMix: what they do, and that they are functions of (seed, step)."""

import json
import re

import keras
import numpy as np
import pytest
import tensorflow as tf
import tensorflow.experimental.numpy as tnp

from srm_keras.data import Augmentation, Preprocessing, batches
from srm_keras.data import augmentation as mixing
from srm_keras.data.tf_images import RandAugment
from tests.support.batches import assert_erased

COUNT = 24
RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (COUNT, 16, 16, 3), dtype="uint8")
DATASET = tf.data.Dataset.from_tensor_slices((IMAGES, np.arange(COUNT)))
PLAIN = Preprocessing(16, flip=True, mean=0.0, std=1 / 255)


def taken(augmentation: Augmentation | None, steps: int, **options) -> list[np.ndarray]:
    given = {"preprocessing": PLAIN, "num_classes": COUNT, **options}
    stream = batches(
        DATASET, batch_size=8, training=True, seed=5, augmentation=augmentation, **given
    )
    return [np.stack(part) for part in zip(*stream.take(steps).as_numpy_iterator(), strict=True)]


def blends(augmentation: Augmentation, steps: int = 6):
    """(mixed image, its label vector, own image, partner's image, own label, partner's label)."""
    images, labels = taken(None, steps)
    mixed, vectors = taken(augmentation, steps)
    assert vectors.dtype == np.float32
    assert vectors.shape == (steps, 8, COUNT)
    for step in range(steps):
        for k in range(8):
            partner = k ^ 1
            yield (
                *(mixed[step, k], vectors[step, k]),
                *(images[step, k], images[step, partner]),
                *(labels[step, k], labels[step, partner]),
            )


def test_mixup_blends_the_image_and_the_label_with_one_weight():
    weights = []
    for mixed, vector, own, partner, label, other in blends(Augmentation(mixup=0.4)):
        weights.append(vector[label])
        expected = weights[-1] * own + (1 - weights[-1]) * partner
        np.testing.assert_allclose(mixed, expected, atol=1e-2)
        assert vector[label] + vector[other] == pytest.approx(1, abs=1e-6)
        assert np.count_nonzero(vector) <= 2
    assert len(set(weights)) == len(weights)  # each image has a weight of its own


def test_cutmix_pastes_a_box_and_weighs_the_label_by_its_area():
    sizes = set()
    for mixed, vector, own, partner, label, other in blends(Augmentation(cutmix=1.0)):
        from_own = (mixed == own).all(axis=-1)
        assert ((mixed == partner).all(axis=-1) | from_own).all()
        rows, columns = np.nonzero(~from_own)
        if len(rows):
            box = (np.ptp(rows) + 1) * (np.ptp(columns) + 1)
            assert box == len(rows)  # a full rectangle
        assert vector[label] == pytest.approx(from_own.mean(), abs=1e-6)
        assert vector[label] + vector[other] == pytest.approx(1, abs=1e-6)
        sizes.add(len(rows))
    assert len(sizes) > 10


def test_with_both_each_image_takes_one_of_them():
    cut = [
        np.isin(mixed, (own, partner)).all() and (mixed == own).any()
        for mixed, _, own, partner, _, _ in blends(Augmentation(mixup=1.0, cutmix=1.0), 20)
    ]
    assert 0.35 < np.mean(cut) < 0.65


@pytest.mark.parametrize("alpha", [0.1, 2.0])
def test_weights_are_from_the_beta_distribution(alpha):
    stream = batches(
        DATASET,
        Preprocessing(1),
        24,
        True,
        augmentation=Augmentation(mixup=alpha),
        num_classes=COUNT,
    )
    weights = []
    plain = batches(DATASET, Preprocessing(1), 24, True)
    for (_, vectors), (_, labels) in zip(stream.take(40), plain.take(40), strict=True):
        weights.append(np.take_along_axis(vectors.numpy(), labels.numpy()[:, None], 1))
    weights = np.concatenate(weights).ravel()
    deviation = np.sqrt(1 / (4 * (2 * alpha + 1)))
    assert weights.mean() == pytest.approx(0.5, abs=4 * deviation / np.sqrt(len(weights)))
    assert weights.std() == pytest.approx(deviation, rel=0.1)


def test_the_box_of_cutmix_is_algorithm_a1_of_the_paper():
    generator = np.random.default_rng(1)
    remains, draws = generator.random(200), generator.random((2, 200))
    inside, box, of_label = mixing.blend(np, 32, np.ones(200), remains, draws, np.full(200, True))
    assert (inside == 0).all()
    for k in range(200):
        side = int(32 * np.sqrt(1 - remains[k]))
        expected = []
        for draw in draws[:, k]:
            start = int(draw * 32) - side // 2
            expected += [min(max(start, 0), 32), min(max(start + side, 0), 32)]
        assert box[:, k].tolist() == expected
        area = (expected[1] - expected[0]) * (expected[3] - expected[2])
        assert of_label[k] == pytest.approx(1 - area / 32**2)


def test_random_erasing_fills_a_box_with_noise():
    options = {"preprocessing": Preprocessing(16, flip=True)}
    plain, _ = taken(None, 60, **options)
    erased, _ = taken(Augmentation(random_erasing=0.4), 60, **options)
    assert_erased(erased.reshape(-1, 16, 16, 3), plain.reshape(-1, 16, 16, 3), 0.4)


def test_the_box_of_random_erasing_is_algorithm_1_of_the_paper():
    """As a loop, on the same draws; both namespaces."""
    draws = RNG.random((4, 300, mixing.ERASING_TRIES)).astype("float32")
    erased = RNG.random(300) < 0.8
    size = 6  # so small that some find no place, and some take more than one try
    expected, tries = np.zeros((4, 300)), set()
    for k in np.flatnonzero(erased):
        for number, (part, shape, top, left) in enumerate(draws[:, k].T.astype("float64")):
            area = (0.02 + part * (1 / 3 - 0.02)) * size * size
            ratio = np.exp(np.log(0.3) + shape * (np.log(1 / 0.3) - np.log(0.3)))
            height, width = round(np.sqrt(area * ratio)), round(np.sqrt(area / ratio))
            if 0 < height < size and 0 < width < size:
                top, left = int(top * (size - height + 1)), int(left * (size - width + 1))
                expected[:, k] = top, top + height, left, left + width
                tries.add(number)
                break
    assert len(tries) > 1
    for xp, given in ((np, draws), (tnp, tf.constant(draws))):
        found = mixing.erased_box(xp, size, given, xp.asarray(erased))
        np.testing.assert_array_equal(found, expected)


def test_rand_augment_is_a_function_of_the_seed_and_the_step():
    augmentation = Augmentation(rand_augment=2, magnitude=0.5)
    resized = {"preprocessing": Preprocessing(16, crop_scale=(0.3, 1.0))}  # windows of any size
    whole = taken(augmentation, 6, **resized)
    keras.utils.set_random_seed(99)
    late = taken(augmentation, 3, start_step=3, **resized)
    np.testing.assert_array_equal(whole[0][3:], late[0])
    plain = taken(None, 6, **resized)
    np.testing.assert_array_equal(whole[1], plain[1])
    changed = (whole[0] != plain[0]).any(axis=(2, 3, 4))
    assert changed.mean() > 0.8


def test_rand_augment_has_the_operations_of_keras():
    of_keras = vars(keras.layers.RandAugment(factor=0.3)).values()
    layers = {type(layer).__name__ for layer in of_keras if isinstance(layer, keras.layers.Layer)}
    ours = RandAugment(1, 0.3).layers
    assert {type(layer).__name__ for layer in ours} == layers
    assert len(ours) == len(layers) == 11


@pytest.mark.parametrize("index", range(11))
def test_each_operation_does_what_keras_does_with_its_numbers(index):
    augment = RandAugment(1, 0.5)
    augment.layers = augment.layers[index : index + 1]
    results = [
        augment(IMAGES[0], tf.constant([3, k], tf.int64)).numpy() for k in (0, 0, 1, 2, 3, 4)
    ]
    np.testing.assert_array_equal(results[0], results[1])
    for result in results:
        assert result.shape == (16, 16, 3)
        assert result.dtype == np.float32
        assert result.min() >= -1e-3
        assert result.max() <= 255 + 1e-3
    random = type(augment.layers[0]).__name__ not in ("AutoContrast", "Equalization")
    assert any((results[0] != other).any() for other in results[2:]) == random


def test_round_trip_and_defaults():
    augmentation = Augmentation(2, 0.3, 0.2, 1.0, 0.5)
    assert Augmentation.from_dict(augmentation.to_dict()) == augmentation
    of_numpy = Augmentation(np.int64(2), *map(np.float64, (0.3, 0.2)), np.int64(1), np.float64(0.5))
    assert json.dumps(of_numpy.to_dict()) == json.dumps(augmentation.to_dict())
    assert not Augmentation().mixes
    default = taken(Augmentation(), 2)
    for part, plain in zip(default, taken(None, 2), strict=True):
        np.testing.assert_array_equal(part, plain)


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({"rand_augment": -1}, "`rand_augment` must be an integer of at least 0. Received: rand"),
        ({"rand_augment": True}, "`rand_augment` must be an integer of at least 0"),
        ({"magnitude": 1.5}, "`magnitude` must be a number in [0, 1]"),
        ({"mixup": -0.1}, "`mixup` must be a number of at least 0. Received: mixup=-0.1"),
        ({"cutmix": "1"}, "`cutmix` must be a number of at least 0"),
        ({"random_erasing": 2}, "`random_erasing` must be a number in [0, 1]. Received: random"),
        ({"mix_up": 0.2}, "no attribute 'mix_up' (did you mean 'mixup'?)"),
    ],
)
def test_bad_attributes(attributes, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        Augmentation.from_dict(attributes)
