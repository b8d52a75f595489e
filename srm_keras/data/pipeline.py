"""Batches to train on and to evaluate on."""

import os

import tensorflow as tf
from absl import logging

from srm_keras.data.checks import seed_in_range
from srm_keras.data.preprocessing import Preprocessing
from srm_keras.validation import boolean, positive_int


def batches(
    dataset: tf.data.Dataset,
    preprocessing: Preprocessing,
    batch_size: int,
    training: bool,
    seed: int = 0,
    *,
    cache: bool = False,
    shuffle_buffer: int | None = None,
) -> tf.data.Dataset:
    """Preprocessed batches of a data set.

    For evaluation: all examples once, in order; the last batch may be smaller.

    For training: an endless stream, to be used with `steps_per_epoch`. Each epoch, of
    `num_examples // batch_size` full batches, has a new order. Which examples batch k holds and
    how they are cropped and mirrored depend on `seed` and k alone, not on TensorFlow's global
    seed, so that `batches(...).skip(k)` goes on where another run stopped.

    Args:
        dataset: Unbatched (uint8 image (H, W, C), integer label) pairs, as `load` returns them.
        preprocessing: What is done to the images.
        batch_size: Number of examples in a batch.
        training: Whether to shuffle, augment and repeat.
        seed: Integer in [0, 2**63); of training's order and augmentation.
        cache: Whether decoded images are kept in memory after they were first read. Where they
            would take more than half of it, this is logged and they are not.
        shuffle_buffer: None: every epoch is a random permutation, for which TensorFlow must be
            able to read any example of `dataset` by its position; it can for those of `load`.
            A number: the size of the buffer to shuffle a data set in that can only be read from
            its beginning. Then the order depends on TensorFlow's global seed too, and on how often
            the result was iterated over before.

    Returns:
        (float32 images (B, image_size, image_size, channels), int32 labels (B,)). B is static in
        training.

    Raises:
        ValueError: If an argument is wrong, or in training if `dataset` has fewer examples than
            a batch, an unknown number of them, or must be given a `shuffle_buffer`.
    """
    positive_int("batch_size", batch_size)
    boolean("training", training)
    boolean("cache", cache)
    seed_in_range(seed)
    _check_elements(dataset)
    if training:
        _check_trainable(dataset, batch_size, shuffle_buffer)
    if cache and _fits_in_memory(dataset):
        dataset = dataset.cache()
    if training:
        stream = _augmented(dataset, preprocessing, batch_size, seed, shuffle_buffer)
        stream = stream.batch(batch_size, drop_remainder=True)
        endless = tf.data.experimental.assert_cardinality(tf.data.INFINITE_CARDINALITY)
        return stream.prefetch(tf.data.AUTOTUNE).apply(endless)
    stream = _in_parallel(dataset, lambda *pair: _evaluated(preprocessing, *pair))
    return stream.batch(batch_size).prefetch(tf.data.AUTOTUNE)


def _augmented(
    dataset: tf.data.Dataset,
    preprocessing: Preprocessing,
    batch_size: int,
    seed: int,
    shuffle_buffer: int | None,
) -> tf.data.Dataset:
    """Training examples without end; example k is augmented with the numbers of (seed, k)."""
    examples = int(dataset.cardinality())
    used = examples - examples % batch_size

    def permutation(epoch: tf.Tensor) -> tf.data.Dataset:
        order = tf.random.experimental.stateless_shuffle(
            tf.range(examples, dtype=tf.int64), (seed, -1 - epoch), alg="philox"
        )
        return tf.data.Dataset.from_tensor_slices(order[:used])

    def from_position(k: tf.Tensor, position: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return from_pair(k, tf.data.experimental.at(dataset, position))

    def from_pair(k: tf.Tensor, pair: tuple[tf.Tensor, tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
        return preprocessing.training(pair[0], tf.stack([seed, k])), tf.cast(pair[1], tf.int32)

    if shuffle_buffer is None:
        positions = tf.data.Dataset.counter().flat_map(permutation)
        return _in_parallel(positions.enumerate(), from_position)
    shuffled = dataset.shuffle(shuffle_buffer, seed, reshuffle_each_iteration=True)
    return _in_parallel(shuffled.take(used).repeat().enumerate(), from_pair)


def _evaluated(
    preprocessing: Preprocessing, image: tf.Tensor, label: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    return preprocessing.evaluation(image), tf.cast(label, tf.int32)


def _in_parallel(dataset: tf.data.Dataset, function) -> tf.data.Dataset:
    return dataset.map(function, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)


def _check_elements(dataset: tf.data.Dataset) -> None:
    spec = dataset.element_spec
    pair = isinstance(spec, tuple) and len(spec) == 2
    if not pair or spec[0].dtype != tf.uint8 or spec[0].shape.rank != 3:
        raise ValueError(
            "`dataset` must hold unbatched (uint8 image (H, W, C), label) pairs. "
            f"Received: elements {spec}"
        )


def _check_trainable(dataset: tf.data.Dataset, batch_size: int, shuffle_buffer: int | None) -> None:
    examples = int(dataset.cardinality())
    if examples < 0:
        raise ValueError(
            "`dataset` must have a known, finite number of examples for training. "
            "Use `dataset.apply(tf.data.experimental.assert_cardinality(n))`"
        )
    if examples < batch_size:
        raise ValueError(
            f"`batch_size` must be at most the number of examples, {examples}, in training. "
            f"Received: batch_size={batch_size}"
        )
    if shuffle_buffer is not None:
        positive_int("shuffle_buffer", shuffle_buffer)
    elif not _has_random_access(dataset):
        raise ValueError(
            "`shuffle_buffer` must be given for a `dataset` that TensorFlow cannot read by "
            f"position. Received: shuffle_buffer=None, dataset={dataset}"
        )


def _has_random_access(dataset: tf.data.Dataset) -> bool:
    try:
        tf.data.experimental.at(dataset, 0)
    except tf.errors.UnimplementedError:
        return False
    return True


def _fits_in_memory(dataset: tf.data.Dataset) -> bool:
    """Whether the images take at most half of the machine's memory, by the size of the first."""
    shape = dataset.element_spec[0].shape
    if shape.is_fully_defined():
        sizes = [shape.num_elements()]
    else:
        sizes = [int(tf.size(image)) for image, _ in dataset.take(16)]
    needed = int(dataset.cardinality()) * sum(sizes) // max(1, len(sizes))
    limit = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    if needed > limit:
        logging.warning(
            "Images are not cached: they would take %.1f GiB, more than half of the memory",
            needed / 2**30,
        )
    return needed <= limit
