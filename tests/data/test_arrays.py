"""`ArrayBatches` against NumPy, and that it needs no TensorFlow."""

import itertools
import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import keras
import numpy as np
import pytest

from srm_keras.data import ArrayBatches, Augmentation, DatasetInfo, Examples, Preprocessing
from tests.support.batches import assert_erased, assert_repeats

ROOT = Path(__file__).parents[2]
COUNT = 50
RNG = np.random.default_rng(0)
AUGMENTED = Preprocessing(8, pad=2, flip=True, mean=(0.4, 0.5, 0.6), std=0.25)


def made(channels: int = 3, height: int = 10, width: int = 12) -> Examples:
    images = RNG.integers(0, 256, (COUNT, height, width, channels), dtype="uint8")
    names = tuple(map(str, range(COUNT)))
    info = DatasetInfo("made", "train", COUNT, COUNT, names, (height, width, channels))
    return Examples(images, np.arange(COUNT, dtype="int32"), info)


EXAMPLES = made()


def taken(batches, steps: int) -> tuple[np.ndarray, np.ndarray]:
    images, labels = zip(*itertools.islice(batches, steps), strict=True)
    images = [keras.ops.convert_to_numpy(batch) for batch in images]
    return np.stack(images), np.stack(labels)


def windows(image: np.ndarray) -> np.ndarray:
    """Every crop of the padded image and its mirror image, standardized in float64."""
    padded = np.pad(image, ((2, 2), (2, 2), (0, 0)))
    crops = np.lib.stride_tricks.sliding_window_view(padded, (8, 8), axis=(0, 1))
    crops = np.moveaxis(crops.reshape(-1, 3, 8, 8), 1, -1).astype("float64")
    crops = np.concatenate([crops, crops[:, :, ::-1]])
    return (crops / 255 - np.array([0.4, 0.5, 0.6])) / 0.25


def test_each_training_image_is_a_window_of_its_example():
    images, labels = taken(ArrayBatches(EXAMPLES, AUGMENTED, 8, True, seed=3), 6)
    assert images.dtype == np.float32
    assert labels.dtype == np.int32
    for image, label in zip(images.reshape(-1, 8, 8, 3), labels.ravel(), strict=True):
        distances = np.abs(windows(EXAMPLES.images[label]) - image).max(axis=(1, 2, 3))
        assert distances.min() < 1e-5


def test_every_place_and_both_directions_come_alike():
    image = np.arange(16 * 16, dtype="uint8").reshape(1, 16, 16, 1).repeat(500, axis=0)
    info = DatasetInfo("made", "train", 500, 1, ("a",), (16, 16, 1))
    examples = Examples(image, np.zeros(500, "int32"), info)
    preprocessing = Preprocessing(14, 1, pad=1, flip=True, mean=0.0, std=1 / 255)
    images, _ = taken(ArrayBatches(examples, preprocessing, 500, True), 4)
    found, counts = np.unique(np.rint(images).reshape(2000, -1), axis=0, return_counts=True)
    assert len(found) == 5 * 5 * 2
    np.testing.assert_allclose(counts, 40, atol=6 * np.sqrt(40))


def test_every_epoch_has_each_example_at_most_once_in_a_new_order():
    _, labels = taken(ArrayBatches(EXAMPLES, AUGMENTED, 8, True, seed=3), 60)
    epochs = labels.reshape(10, 48)
    assert all(len(set(epoch.tolist())) == 48 for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 10
    assert set(labels.ravel().tolist()) == set(range(COUNT))


@pytest.mark.parametrize(
    "augmentation", [None, Augmentation(mixup=0.3, cutmix=1.0, random_erasing=0.5)]
)
def test_a_batch_depends_on_the_seed_and_its_number_alone(augmentation):
    options = {"augmentation": augmentation, "num_classes": COUNT}
    whole = taken(ArrayBatches(EXAMPLES, AUGMENTED, 8, True, 5, **options), 20)
    step = np.int64(11)
    later = ArrayBatches(
        EXAMPLES, AUGMENTED, np.int64(8), True, np.int64(5), start_step=step, **options
    )
    other = taken(ArrayBatches(EXAMPLES, AUGMENTED, 8, True, 6, **options), 20)
    eighth = later[7]
    rest = taken(later, 9)
    for part in range(2):
        np.testing.assert_array_equal(whole[part][11:], rest[part])
        np.testing.assert_array_equal(keras.ops.convert_to_numpy(eighth[part]), rest[part][7])
        assert (whole[part] != other[part]).any()


@pytest.mark.parametrize(("height", "width"), [(10, 12), (8, 8), (5, 9), (7, 6)])
@pytest.mark.parametrize(("given", "channels"), [(3, 3), (1, 3), (1, 1)])
def test_evaluation_equals_that_of_preprocessing(height, width, given, channels):
    examples = made(given, height, width)
    mean = (0.4, 0.5, 0.6) if channels == 3 else 0.3
    preprocessing = Preprocessing(8, channels, mean=mean, std=0.2)
    batches = ArrayBatches(examples, preprocessing, 16, training=False)
    assert batches.num_batches == 4
    images, labels = zip(*batches, strict=True)
    assert [len(batch) for batch in labels] == [16, 16, 16, 2]
    np.testing.assert_array_equal(np.concatenate(labels), examples.labels)
    images = np.concatenate([keras.ops.convert_to_numpy(batch) for batch in images])
    np.testing.assert_allclose(images, preprocessing.evaluation(examples.images), atol=1e-6)


def test_mixed_batches_are_blends_of_neighbours():
    plain = taken(ArrayBatches(EXAMPLES, AUGMENTED, 8, True, 5), 6)
    augmentation = Augmentation(mixup=1.0)
    options = {"augmentation": augmentation, "num_classes": COUNT}
    mixed = taken(ArrayBatches(EXAMPLES, AUGMENTED, 8, True, 5, **options), 6)
    vectors = np.eye(COUNT)[plain[1]]
    for images, labels, own, one_hot in zip(*mixed, plain[0], vectors, strict=True):
        for k in range(8):
            weight = labels[k, one_hot[k].argmax()]
            blended = weight * own[k] + (1 - weight) * own[k ^ 1]
            np.testing.assert_allclose(images[k], blended, atol=1e-5)
    assert mixed[1].dtype == np.float32


def test_random_erasing_fills_a_box_with_noise():
    plain = taken(ArrayBatches(EXAMPLES, AUGMENTED, 10, True, 5), 40)
    augmentation = Augmentation(random_erasing=0.5)
    erased = taken(ArrayBatches(EXAMPLES, AUGMENTED, 10, True, 5, augmentation=augmentation), 40)
    np.testing.assert_array_equal(erased[1], plain[1])
    assert_erased(erased[0].reshape(-1, 8, 8, 3), plain[0].reshape(-1, 8, 8, 3), 0.5)


def test_each_image_stands_in_its_batch_as_often_as_was_asked():
    """Augmented otherwise each time; an epoch has every image in one batch, times the repeats."""
    options = {"augmentation": Augmentation(mixup=1.0), "num_classes": COUNT}
    images, labels = taken(ArrayBatches(EXAMPLES, AUGMENTED, 12, True, 5, repeats=3), 24)
    assert_repeats(labels, 12, 3, COUNT)
    flat, names = images.reshape(24 * 12, -1), labels.ravel()
    same = [len(np.unique(flat[names == name], axis=0)) for name in np.unique(names)]
    assert sum(same) > 0.95 * names.size  # two can be alike by chance
    later = ArrayBatches(EXAMPLES, AUGMENTED, 12, True, 5, repeats=3, start_step=17, **options)
    whole = ArrayBatches(EXAMPLES, AUGMENTED, 12, True, 5, repeats=3, **options)
    for one, other in zip(taken(later, 3), taken(whole, 20), strict=True):
        np.testing.assert_array_equal(one, other[17:])
    assert (np.count_nonzero(taken(whole, 24)[1], axis=-1) == 2).all()  # never with itself


def test_fit_evaluates_and_goes_through_epochs():
    model = keras.Sequential([keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(COUNT)])
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    train = ArrayBatches(EXAMPLES, AUGMENTED, 8, training=True)
    held_out = ArrayBatches(EXAMPLES, AUGMENTED, 16, training=False)
    history = model.fit(
        train, steps_per_epoch=2, epochs=3, shuffle=False, validation_data=held_out, verbose=0
    )
    assert len(history.history["val_loss"]) == 3
    assert model.predict(held_out, verbose=0).shape == (COUNT, COUNT)


WITHOUT_TENSORFLOW = """
    import sys


    class Refuse:
        def find_spec(self, name, path=None, target=None):
            if name.split(".")[0] in ("tensorflow", "tensorflow_datasets"):
                raise ModuleNotFoundError(f"No module named '{name}'", name=name)


    sys.meta_path.insert(0, Refuse())
    import keras
    from srm_keras import data, layers

    train = data.load_examples("texture_shapes", "train", train_examples=100)
    test = data.load_examples("texture_shapes", "test", test_examples=125)
    test = test.subset(data.k_folds(test, 5)[0][0])
    assert len(test) == 100
    preprocessing = data.Preprocessing(32, pad=4, flip=True)
    convolution = keras.layers.Conv2D(8, 3, strides=4)
    pooling, dense = keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(10, "softmax")
    model = keras.Sequential([convolution, layers.SRM(), pooling, dense])
    model.compile("sgd", "sparse_categorical_crossentropy")
    history = model.fit(
        data.ArrayBatches(train, preprocessing, 16, training=True),
        steps_per_epoch=3,
        shuffle=False,
        validation_data=data.ArrayBatches(test, preprocessing, 50, training=False),
        verbose=0,
    )
    print(keras.backend.backend(), *history.history["val_loss"], "tensorflow" in sys.modules)
"""


def trained(python: str) -> str:
    result = subprocess.run(
        [python, "-c", textwrap.dedent(WITHOUT_TENSORFLOW)],
        env={**os.environ, "KERAS_BACKEND": "jax", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


def check_trained(output: str) -> None:
    backend, loss, tensorflow = output.split()
    assert backend == "jax"
    assert np.isfinite(float(loss))
    assert tensorflow == "False"


@pytest.mark.slow  # tests/backends: a training on another backend imports no TensorFlow.
def test_trains_where_tensorflow_cannot_be_imported():
    pytest.importorskip("jax")
    check_trained(trained(sys.executable))


@pytest.mark.slow
@pytest.mark.network
@pytest.mark.timeout(1200)
def test_trains_in_an_environment_without_tensorflow(tmp_path):
    python = str(tmp_path / "bin" / "python")
    subprocess.run([sys.executable, "-m", "venv", str(tmp_path)], check=True)
    packages = ["keras>=3.15,<3.16", "jax", "numpy", "pillow", "absl-py", "scikit-learn"]
    subprocess.run([python, "-m", "pip", "install", "-q", *packages], check=True)
    assert subprocess.run([python, "-c", "import tensorflow"], capture_output=True).returncode
    check_trained(trained(python))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"batch_size": 0}, "`batch_size` must be a positive integer. Received: batch_size=0"),
        ({"batch_size": 51}, "`batch_size` must be at most the number of examples, 50"),
        ({"training": 1}, "`training` must be True or False"),
        ({"seed": -1}, "`seed` must be an integer in [0, 2**63)"),
        ({"start_step": -1}, "`start_step` must be an integer of at least 0"),
        ({"training": False, "start_step": 1}, "`start_step` and `shard` are for training"),
        ({"examples": EXAMPLES.images}, "`examples` must be Examples that hold their images in"),
        ({"preprocessing": Preprocessing(8, resize=9)}, "`resize` needs `srm_keras.data.batches`"),
        (
            {"preprocessing": Preprocessing(8, crop_scale=(0.1, 1))},
            "`crop_scale` needs `srm_keras.data.batches`",
        ),
        ({"preprocessing": Preprocessing(8, 1)}, "`channels` must be that of the images, 3"),
        ({"repeats": 3}, "`repeats` must divide batch_size=8. Received: repeats=3"),
        ({"augmentation": Augmentation(2)}, "`rand_augment` needs `srm_keras.data.batches`"),
        ({"augmentation": Augmentation(mixup=1)}, "`num_classes` must be a positive integer"),
        (
            {"augmentation": Augmentation(mixup=1), "num_classes": 50, "batch_size": 5},
            "`batch_size` must be even",
        ),
    ],
)
def test_bad_arguments(change, message):
    arguments = {
        "examples": EXAMPLES,
        "preprocessing": AUGMENTED,
        "batch_size": 8,
        "training": True,
        **change,
    }
    with pytest.raises(ValueError, match=re.escape(message)):
        ArrayBatches(**arguments)
