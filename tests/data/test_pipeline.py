"""`batches`: order, epochs, determinism, static shapes."""

import re
import time

import keras
import numpy as np
import pytest
import tensorflow as tf

from srm_keras.data import ArrayBatches, Augmentation, Preprocessing, batches, load_examples
from tests.support.batches import assert_repeats

COUNT = 50
IMAGES = np.random.default_rng(0).integers(0, 256, (COUNT, 10, 12, 3), dtype="uint8")
LABELS = np.arange(COUNT, dtype="int32")
DATASET = tf.data.Dataset.from_tensor_slices((IMAGES, LABELS))
AUGMENTED = Preprocessing(8, pad=2, flip=True)
MIXED = Augmentation(mixup=0.2)


def taken(stream: tf.data.Dataset, steps: int) -> tuple[np.ndarray, np.ndarray]:
    images, labels = zip(*stream.take(steps).as_numpy_iterator(), strict=True)
    return np.stack(images), np.stack(labels)


def generated(count: int = COUNT) -> tf.data.Dataset:
    """The same examples, but only from the beginning, and of unknown number."""
    pairs = list(zip(IMAGES[:count], LABELS[:count], strict=True))
    return tf.data.Dataset.from_generator(
        lambda: iter(pairs), output_signature=DATASET.element_spec
    )


def counted(count: int = COUNT) -> tf.data.Dataset:
    return generated(count).apply(tf.data.experimental.assert_cardinality(count))


def test_evaluation_keeps_order_and_the_last_batch():
    preprocessing = Preprocessing(8)
    stream = batches(DATASET, preprocessing, 16, training=False)
    assert stream.element_spec[0].shape == (None, 8, 8, 3)
    assert [len(labels) for _, labels in stream] == [16, 16, 16, 2]
    np.testing.assert_array_equal(np.concatenate([y for _, y in stream]), LABELS)
    images = np.concatenate([x for x, _ in stream])
    expected = (IMAGES[:, 1:9, 2:10].astype("float64") / 255 - 0.5) / 0.5
    np.testing.assert_allclose(images, expected, atol=1e-6)


def test_training_batches_are_full_endless_and_static():
    stream = batches(DATASET, AUGMENTED, 8, training=True)
    assert stream.cardinality() == tf.data.INFINITE_CARDINALITY
    assert stream.element_spec == (
        tf.TensorSpec((8, 8, 8, 3), tf.float32),
        tf.TensorSpec((8,), tf.int32),
    )


@pytest.mark.parametrize("buffer", [None, COUNT])
def test_every_epoch_has_each_example_at_most_once_in_a_new_order(buffer):
    stream = batches(DATASET, AUGMENTED, 8, training=True, seed=3, shuffle_buffer=buffer)
    labels = taken(stream, 60)[1].reshape(10, 48)
    for epoch in labels:
        assert len(set(epoch.tolist())) == 48
    assert len({tuple(epoch) for epoch in labels}) == 10
    assert set(labels.ravel().tolist()) == set(range(COUNT))
    assert not (labels == LABELS[:48]).all(axis=1).any()


def test_example_k_is_augmented_with_the_numbers_of_seed_and_k():
    images, labels = taken(batches(DATASET, AUGMENTED, 8, training=True, seed=11), 20)
    flat = images.reshape(160, 8, 8, 3)
    for k in (0, 1, 47, 48, 49, 159):
        seed = tf.constant([11, k], tf.int64)
        expected = AUGMENTED.training(IMAGES[labels.ravel()[k]], seed)
        np.testing.assert_array_equal(flat[k], expected)


def test_order_is_that_of_stateless_shuffle():
    labels = taken(batches(DATASET, AUGMENTED, 8, training=True, seed=11), 12)[1].reshape(2, 48)
    for epoch in range(2):
        order = tf.random.experimental.stateless_shuffle(
            tf.range(COUNT), tf.constant([11, -1 - epoch], tf.int64), alg="philox"
        )
        np.testing.assert_array_equal(labels[epoch], order[:48])


@pytest.mark.parametrize("cache", [False, True])
def test_each_image_stands_in_its_batch_as_often_as_was_asked(cache):
    """Each time with the numbers of its own place in the stream."""
    options = {"seed": 11, "repeats": 4, "cache": cache}
    images, labels = taken(batches(DATASET, AUGMENTED, 8, True, **options), 2 * (COUNT // 2))
    assert_repeats(labels, 8, 4, COUNT)
    for k in (0, 9, 37, 8 * (COUNT // 2) + 3):
        expected = AUGMENTED.training(IMAGES[labels.ravel()[k]], tf.constant([11, k], tf.int64))
        np.testing.assert_array_equal(images.reshape(-1, 8, 8, 3)[k], expected)


def test_a_step_depends_on_the_seed_and_its_number_alone():
    steps = taken(batches(DATASET, AUGMENTED, 8, training=True, seed=5), 15)
    keras.utils.set_random_seed(99)  # also TensorFlow's global seed
    again = taken(batches(DATASET, AUGMENTED, 8, training=True, seed=5), 15)
    later = taken(batches(DATASET, AUGMENTED, 8, training=True, seed=5).skip(9), 6)
    cached = taken(batches(DATASET, AUGMENTED, 8, training=True, seed=5, cache=True), 15)
    other = taken(batches(DATASET, AUGMENTED, 8, training=True, seed=6), 15)
    for part in range(2):
        np.testing.assert_array_equal(steps[part], again[part])
        np.testing.assert_array_equal(steps[part][9:], later[part])
        np.testing.assert_array_equal(steps[part], cached[part])
        assert (steps[part] != other[part]).any()


def test_iterating_twice_gives_the_same_stream():
    stream = batches(DATASET, AUGMENTED, 8, training=True, seed=5)
    for first, second in zip(taken(stream, 8), taken(stream, 8), strict=True):
        np.testing.assert_array_equal(first, second)


RESIZED = Preprocessing(8, resize=9, pad=2, flip=True)


@pytest.mark.parametrize("preprocessing", [AUGMENTED, RESIZED], ids=["as read", "resized"])
@pytest.mark.parametrize("training", [True, False])
def test_cache_reads_each_example_once(training, preprocessing):
    reads = []

    def read(image, label):
        def note(value):
            reads.append(int(value))
            return value

        return image, tf.ensure_shape(tf.numpy_function(note, [label], tf.int32), ())

    stream = batches(DATASET.map(read), preprocessing, 10, training, cache=True)
    for _ in range(3):
        assert len(list(stream.take(5))) == 5
    most = max(reads.count(label) for label in range(COUNT))
    assert set(reads) == set(range(COUNT))
    # Each check that a data set can be read by position costs one reading.
    assert most <= (2 if preprocessing is AUGMENTED else 3)


CACHED = {
    "bilinear": Preprocessing(8, resize=9, pad=2, flip=True),
    "bicubic": Preprocessing(8, resize=9, interpolation="bicubic"),
    "grey": Preprocessing(8, resize=9),
    "window": Preprocessing(8, resize=9, crop_scale=(0.3, 1.0)),
}


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("name", CACHED)
def test_a_cache_behind_the_resize_changes_no_bit(name, training):
    images = IMAGES[..., :1] if name == "grey" else IMAGES
    dataset = tf.data.Dataset.from_tensor_slices((images, LABELS))
    plain, cached = (
        taken(batches(dataset, CACHED[name], 10, training, 5, cache=cache), 5)
        for cache in (False, True)
    )
    for part in range(2):
        np.testing.assert_array_equal(plain[part], cached[part])


@pytest.mark.parametrize(
    ("pages", "resizings", "told"),
    [(80, COUNT, False), (60, 2 * COUNT, False), (40, 2 * COUNT, True)],
)
def test_a_cache_holds_what_fits(pages, resizings, told, monkeypatch, caplog):
    """50 images 24×30: 142,800 bytes at 14×17 in float32, 108,000 as they are; of half of it."""
    images = np.repeat(np.repeat(IMAGES[:, :8, :10], 3, 1), 3, 2)
    dataset = tf.data.Dataset.from_tensor_slices((images, LABELS))
    monkeypatch.setattr("os.sysconf", {"SC_PHYS_PAGES": pages, "SC_PAGE_SIZE": 4096}.get)
    done, resize = [], Preprocessing.resized

    def counted(preprocessing, images):
        if preprocessing.resize is not None:
            images = tf.numpy_function(lambda x: done.append(1) or x, [images], tf.uint8)
            images = tf.ensure_shape(images, (24, 30, 3))
        return resize(preprocessing, images)

    monkeypatch.setattr(Preprocessing, "resized", counted)
    stream = batches(dataset, Preprocessing(8, resize=14), 10, training=False, cache=True)
    for _ in range(2):
        assert len(list(stream)) == 5
    assert len(done) == resizings
    assert ("Images are not cached" in caplog.text) == told


def test_what_does_not_fit_is_not_cached(monkeypatch, caplog):
    monkeypatch.setattr("os.sysconf", lambda name: {"SC_PHYS_PAGES": 3}.get(name, 4096))
    stream = batches(DATASET, Preprocessing(8), 10, training=False, cache=True)
    assert "Images are not cached" in caplog.text
    assert len(list(stream)) == 5


def test_images_of_several_sizes():
    sizes = [(9, 14), (20, 8), (8, 8), (5, 30)] * 4
    dataset = tf.data.Dataset.range(16).map(
        lambda i: (
            tf.cast(tf.fill(tf.concat([tf.gather(tf.constant(sizes), i), [3]], 0), i), tf.uint8),
            i,
        )
    )
    dataset = dataset.map(lambda x, y: (tf.ensure_shape(x, (None, None, 3)), y))
    preprocessing = Preprocessing(8, resize=10, mean=0.0, std=1 / 255)
    for stream in (
        batches(dataset, preprocessing, 4, training=True, cache=True),
        batches(dataset, preprocessing, 4, training=False),
    ):
        for images, labels in stream.take(4):
            assert images.shape == (4, 8, 8, 3)
            assert labels.dtype == tf.int32
            expected = tf.cast(labels, tf.float32)[:, None, None, None] * tf.ones_like(images)
            np.testing.assert_allclose(images, expected, atol=1e-4)


def test_a_data_set_without_random_access_takes_a_buffer():
    stream = batches(counted(), AUGMENTED, 8, training=True, shuffle_buffer=20)
    assert len(set(taken(stream, 6)[1].ravel().tolist())) == 48


@pytest.mark.parametrize(
    ("start", "augmentation", "repeats"),
    [(1, None, 1), (40, None, 4), (6, Augmentation(0, 0.5, 0.3, 1.0, 0.5), 1)],
)
def test_start_step_goes_on_where_iterating_would_be(start, augmentation, repeats):
    arguments = {"seed": 5, "augmentation": augmentation, "num_classes": COUNT, "repeats": repeats}
    whole = taken(batches(DATASET, AUGMENTED, 8, training=True, **arguments), start + 9)
    later = {"training": True, "start_step": np.int64(start), **arguments}
    rest = taken(batches(DATASET, AUGMENTED, np.int64(8), **later), 9)
    for part in range(2):
        np.testing.assert_array_equal(whole[part][start:], rest[part])


@pytest.mark.parametrize("repeats", [1, 3])
@pytest.mark.parametrize("augmentation", [None, Augmentation(0, 0.5, 0.3, 1.0, 0.5)])
def test_the_shards_of_a_batch_make_it_up(augmentation, repeats):
    arguments = {
        "seed": 5,
        "repeats": repeats,
        "augmentation": augmentation,
        "num_classes": COUNT,
        "start_step": 3,
    }
    whole = taken(batches(DATASET, AUGMENTED, 12, training=True, **arguments), 9)
    for count in (2, 3):
        shards = [
            taken(batches(DATASET, AUGMENTED, 12, training=True, shard=(i, count), **arguments), 9)
            for i in range(count)
        ]
        for part in range(2):
            joined = np.concatenate([shard[part] for shard in shards], axis=1)
            np.testing.assert_array_equal(joined, whole[part])


def test_start_step_and_shard_of_a_data_set_read_from_its_beginning():
    arguments = {"seed": 5, "shuffle_buffer": 20}
    whole = taken(batches(counted(), AUGMENTED, 8, training=True, **arguments), 15)
    for index in range(2):
        part = batches(
            counted(), AUGMENTED, 8, training=True, start_step=7, shard=(index, 2), **arguments
        )
        for expected, values in zip(whole, taken(part, 8), strict=True):
            np.testing.assert_array_equal(values, expected[7:, 4 * index : 4 * index + 4])


def test_a_far_start_step_reads_and_waits_for_nothing():
    reads = []

    def read(image, label):
        def note(value):
            reads.append(int(value))
            return value

        return image, tf.ensure_shape(tf.numpy_function(note, [label], tf.int32), ())

    noted = DATASET.map(read)
    start = time.perf_counter()
    for step in (10**3, 10**9, 10**12):
        taken(batches(noted, AUGMENTED, 25, training=True, start_step=step), 1)
    assert time.perf_counter() - start < 20
    assert len(reads) < 3 * 50 * 10  # what the prefetching of a few batches reads


def test_a_cached_stream_can_start_late():
    whole = taken(batches(DATASET, AUGMENTED, 8, training=True, seed=5), 20)
    late = taken(batches(DATASET, AUGMENTED, 8, True, 5, cache=True, start_step=11), 9)
    for part in range(2):
        np.testing.assert_array_equal(whole[part][11:], late[part])


def test_fit_reads_across_epochs():
    model = keras.Sequential([keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(COUNT)])
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    stream = batches(DATASET, AUGMENTED, 8, training=True)
    history = model.fit(stream, steps_per_epoch=2, epochs=3, shuffle=False, verbose=0)
    assert len(history.history["loss"]) == 3


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"batch_size": 0}, "`batch_size` must be a positive integer. Received: batch_size=0"),
        ({"batch_size": 51}, "`batch_size` must be at most the number of examples, 50"),
        ({"training": "yes"}, "`training` must be True or False"),
        ({"cache": None}, "`cache` must be True or False"),
        ({"seed": -1}, "`seed` must be an integer in [0, 2**63)"),
        ({"start_step": -1}, "`start_step` must be an integer of at least 0"),
        ({"shard": (False, 1)}, "`shard` must be two integers (i, n). Received: shard=(False, 1)"),
        ({"start_step": True}, "`start_step` must be an integer of at least 0"),
        ({"shard": (2, 2)}, "`shard` must be (i, n) with 0 <= i < n. Received: shard=(2, 2)"),
        ({"shard": 1}, "`shard` must be two integers (i, n)"),
        ({"shard": (0, 3)}, "`batch_size` must be a multiple of the number of shards, 3"),
        ({"training": False, "start_step": 1}, "`start_step` and `shard` are for training"),
        ({"training": False, "shard": (0, 2)}, "`start_step` and `shard` are for training"),
        ({"training": False, "augmentation": MIXED}, "`augmentation` is for training"),
        ({"augmentation": MIXED}, "`num_classes` must be a positive integer"),
        ({"augmentation": "mixup"}, "`augmentation` must be an Augmentation or None"),
        (
            {"augmentation": MIXED, "num_classes": 2, "shard": (0, 8)},
            "`batch_size` must be even, in each shard",
        ),
        ({"repeats": 0}, "`repeats` must be a positive integer. Received: repeats=0"),
        ({"repeats": 3}, "`repeats` must divide batch_size=8. Received: repeats=3"),
        ({"training": False, "repeats": 2}, "`repeats` are for training"),
        ({"repeats": 2, "shuffle_buffer": 9}, "`repeats` must be 1 with a `shuffle_buffer`"),
        (
            {"augmentation": MIXED, "num_classes": COUNT, "repeats": 8},
            "`repeats` must be below the batch size with MixUp or CutMix",
        ),
        ({"shuffle_buffer": 0}, "`shuffle_buffer` must be a positive integer"),
        ({"dataset": generated()}, "`dataset` must have a known, finite number of examples"),
        ({"dataset": DATASET.repeat()}, "`dataset` must have a known, finite number of examples"),
        ({"dataset": counted()}, "`shuffle_buffer` must be given for a `dataset`"),
        ({"dataset": DATASET.batch(2)}, "unbatched (uint8 image (H, W, C), label) pairs"),
        ({"dataset": DATASET.map(lambda x, y: x)}, "unbatched (uint8 image (H, W, C), label)"),
        (
            {"dataset": DATASET.map(lambda x, y: (tf.cast(x, tf.float32), y))},
            "unbatched (uint8 image (H, W, C), label)",
        ),
    ],
)
def test_bad_arguments(change, message):
    arguments = {
        "dataset": DATASET,
        "preprocessing": AUGMENTED,
        "batch_size": 8,
        "training": True,
        **change,
    }
    with pytest.raises(ValueError, match=re.escape(message)):
        batches(**arguments)


def test_a_mapped_data_set_is_first_read_outside_of_iterators():
    """Else TensorFlow crashes, and this process with it, when a second one reads by position."""
    images = tf.data.Dataset.from_tensor_slices((np.zeros((64, 8, 8, 3), "uint8"), range(64)))
    mapped = images.map(lambda x, y: (x + 1, y), tf.data.AUTOTUNE)
    stream = batches(mapped, Preprocessing(8), 8, training=True).take(4)
    for _ in range(20):
        assert stream.reduce(0, lambda count, *_: count + 1) == 4


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize(
    "labels", [LABELS + 0.7, np.eye(COUNT, dtype="int32")[LABELS], LABELS.astype(str), LABELS > 3]
)
def test_labels_that_are_no_class_numbers_are_refused(labels, training):
    pairs = tf.data.Dataset.from_tensor_slices((IMAGES, labels))
    with pytest.raises(ValueError, match=r"labels that are single integers.*Received: labels Te"):
        batches(pairs, Preprocessing(8), 8, training)


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("dtype", ["int64", "uint32", "uint64"])
def test_a_label_that_int32_does_not_hold_is_told_and_others_are_kept(dtype, training):
    labels = LABELS.astype(dtype)
    pairs = tf.data.Dataset.from_tensor_slices((IMAGES, labels))
    kept = taken(batches(pairs, Preprocessing(8), 10, training), 5)[1]
    assert kept.dtype == np.int32
    assert sorted(kept.ravel().tolist()) == LABELS.tolist()
    labels[3] = 2**32 - 1 if dtype == "uint32" else 2**32
    pairs = tf.data.Dataset.from_tensor_slices((IMAGES, labels))
    with pytest.raises(tf.errors.InvalidArgumentError, match=f"{labels[3]}"):
        taken(batches(pairs, Preprocessing(8), 10, training), 5)


def test_mixed_labels_have_room_for_every_class():
    examples = load_examples("made_up", "train", image_shape=8, classes=4, examples=8)
    for made in (batches, ArrayBatches):
        with pytest.raises(ValueError, match=r"`num_classes` must be at least .*4. Received: .*=3"):
            made(examples, Preprocessing(8), 4, True, augmentation=MIXED, num_classes=3)
