"""Batches to train on and to evaluate on."""

import dataclasses
import functools
import os
from collections.abc import Callable

import numpy as np
import tensorflow as tf
from absl import logging

from srm_keras.data.augmentation import Augmentation, in_repeats
from srm_keras.data.checks import (
    check_augmentation,
    check_enough,
    check_part,
    check_repeats,
    seed_in_range,
)
from srm_keras.data.examples import Examples
from srm_keras.data.preprocessing import Preprocessing
from srm_keras.data.sources.prepared import Records
from srm_keras.data.tf_images import Augmenter, class_number
from srm_keras.support.validation import boolean, positive_int


@dataclasses.dataclass(frozen=True)
class Order:
    """Which examples a training stream consists of, from which one on, and which part of it.

    The stream is example 0, 1, 2, … without end; batch k is the examples from ``k * batch_size``
    on. An epoch is ``examples // distinct`` batches of a new random permutation, ``distinct``
    positions a batch, each of them ``repeats`` times: see ``in_repeats``.

    Attributes:
        examples: Number of examples in the data set.
        batch_size: Number of examples in a (global) batch.
        seed: Integer in [0, 2**63).
        start_step: The batch to begin with.
        shard: (i, n): part i of the n equal parts of each batch.
        repeats: How often each position stands in its batch.
    """

    examples: int
    batch_size: int
    seed: int
    start_step: int = 0
    shard: tuple[int, int] = (0, 1)
    repeats: int = 1

    @property
    def distinct(self) -> int:
        """Number of positions in a batch."""
        return self.batch_size // self.repeats

    @property
    def used(self) -> int:
        """Number of examples in an epoch, a multiple of the batch size; those repeated count."""
        return (self.examples - self.examples % self.distinct) * self.repeats

    @property
    def local_batch_size(self) -> int:
        """Number of examples in this part of a batch."""
        return self.batch_size // self.shard[1]

    def positions(self) -> tf.data.Dataset:
        """Endless (place in the stream, position in the data set), two int64 scalars.

        Nothing before ``start_step`` is gone through: whole epochs are jumped over.
        """
        first_epoch, first = divmod(self.start_step * self.batch_size, self.used)

        def epoch_part(epoch: tf.Tensor) -> tf.data.Dataset:
            order = tf.random.experimental.stateless_shuffle(
                tf.range(self.examples, dtype=tf.int64), (self.seed, -1 - epoch), alg="philox"
            )
            start = tf.where(epoch == first_epoch, tf.constant(first, tf.int64), 0)
            within = tf.range(start, self.used, dtype=tf.int64)
            places = epoch * self.used + within
            positions = tf.gather(order, in_repeats(within, self.batch_size, self.repeats))
            pairs = (self._own(places), self._own(positions))
            return tf.data.Dataset.from_tensor_slices(pairs)

        return tf.data.Dataset.counter(first_epoch).flat_map(epoch_part)

    def shuffled(self, dataset: tf.data.Dataset, buffer: int) -> tf.data.Dataset:
        """Endless (place in the stream, element) of a data set that is read from its beginning.

        All that comes before ``start_step`` is read and left out.
        """
        epochs = dataset.shuffle(buffer, self.seed, reshuffle_each_iteration=True)
        first = self.start_step * self.batch_size
        stream = epochs.take(self.used).repeat().enumerate().skip(first)
        return stream if self.shard[1] == 1 else stream.filter(self._is_own)

    def _own(self, values: tf.Tensor) -> tf.Tensor:
        """This part's values out of those of whole batches."""
        index, _ = self.shard
        parts = tf.reshape(values, (-1, self.shard[1], self.local_batch_size))
        return tf.reshape(parts[:, index], (-1,))

    def _is_own(self, place: tf.Tensor, element: tuple[tf.Tensor, tf.Tensor]) -> tf.Tensor:
        del element
        return place % self.batch_size // self.local_batch_size == self.shard[0]


def batches(
    dataset: tf.data.Dataset | Examples | Records,
    preprocessing: Preprocessing,
    batch_size: int,
    training: bool,
    seed: int = 0,
    *,
    cache: bool = False,
    shuffle_buffer: int | None = None,
    augmentation: Augmentation | None = None,
    num_classes: int | None = None,
    start_step: int = 0,
    shard: tuple[int, int] = (0, 1),
    repeats: int = 1,
) -> tf.data.Dataset:
    """Preprocessed batches of a data set.

    For evaluation: all examples once, in order; the last batch may be smaller. For training: the
    endless stream of ``Order``, to be used with ``steps_per_epoch``. Which examples batch k holds
    and what is done to them depend on ``seed`` and k alone, not on TensorFlow's global seed, so
    that ``start_step=k`` goes on where another run stopped.

    Args:
        dataset: What ``load_examples`` returns, or unbatched (uint8 image (H, W, C), integer label)
            pairs, as ``load`` returns them. Of the former, if they are encoded, training with
            ``crop_scale`` decodes the windows that it takes and no more.
        preprocessing: What is done to the images.
        batch_size: Number of examples in a batch; with ``shard``, in all of its parts together.
        training: Whether to shuffle, augment and repeat.
        seed: Integer in [0, 2**63); of training's order and augmentation.
        cache: Whether images are kept in memory: as ``preprocessing.resize`` leaves them, float32,
            where every use begins with it and they take at most half of the memory; else as they
            are decoded, uint8, if those do; else, which is logged, not at all.
        shuffle_buffer: None: every epoch is a random permutation of examples that TensorFlow reads
            by position, as those of ``load``. A number: the size of the buffer to shuffle a data
            set in that can only be read from its beginning; the order then depends on TensorFlow's
            global seed too, and on how often the result was iterated over before.
        augmentation: Training only: RandAugment, random erasing, MixUp, CutMix.
        num_classes: Length of the label vectors; needed with MixUp or CutMix.
        start_step: Training only: the batch to begin with. The ones before it are not decoded;
            with ``shuffle_buffer`` they are read, though not augmented.
        shard: Training only: (i, n) gives part i of n of each batch. The parts of a batch, one
            after the other, are the batch.
        repeats: Training only: how often each image stands in its batch, every time augmented
            anew (repeated augmentation: Hoffer et al. 2020), so that there are ``batch_size /
            repeats`` images in it.

    Returns:
        (float32 images (B, image_size, image_size, channels), labels). Labels are int32 (B,), or
        with MixUp or CutMix float32 (B, num_classes). B is static in training.

    Raises:
        ValueError: If an argument is wrong, or in training if ``dataset`` has fewer examples than
            a batch, an unknown number of them, or must be given a ``shuffle_buffer``.
    """
    batch_size = positive_int("batch_size", batch_size)
    boolean("training", training)
    boolean("cache", cache)
    seed = seed_in_range(seed)
    start_step, shard = check_part(batch_size, training, start_step, shard)
    check_augmentation(augmentation, num_classes, training, batch_size // shard[1], dataset)
    repeats = check_repeats(batch_size, training, repeats, augmentation)
    pairs = dataset.dataset() if isinstance(dataset, Examples | Records) else dataset
    by_position = dataset if isinstance(dataset, Examples | Records) else None
    _check_elements(pairs)
    if training:
        _check_trainable(pairs, batch_size // repeats, shuffle_buffer)
        if repeats > 1 and shuffle_buffer is not None:
            raise ValueError(
                "`repeats` must be 1 with a `shuffle_buffer`: such a data set is read once an "
                f"epoch. Received: repeats={repeats}"
            )
    if cache:
        pairs, preprocessing, by_position = _cached(pairs, preprocessing, by_position, training)
    if not training:
        stream = _in_parallel(pairs, lambda *pair: _evaluated(preprocessing, *pair))
        return stream.batch(batch_size).prefetch(tf.data.AUTOTUNE)
    order = Order(int(pairs.cardinality()), batch_size, seed, start_step, shard, repeats)
    augmenter = Augmenter(preprocessing, augmentation or Augmentation(), num_classes, seed)
    stream = _in_parallel(*_augmented(pairs, by_position, shuffle_buffer, order, augmenter))
    return _endless_batches(stream, order.local_batch_size, augmenter)


def _augmented(
    pairs: tf.data.Dataset,
    by_position: Examples | Records | None,
    shuffle_buffer: int | None,
    order: Order,
    augmenter: Augmenter,
) -> tuple[tf.data.Dataset, Callable[..., tuple]]:
    """What training's stream begins with, and the function that makes an example of it.

    ``by_position`` are the examples of ``pairs``, which are then read one by one, decoded or not.
    """
    if shuffle_buffer is not None:
        return order.shuffled(pairs, shuffle_buffer), lambda k, pair: augmenter.of_image(k, *pair)
    if by_position is None or by_position.in_memory:
        at = functools.partial(tf.data.experimental.at, pairs)
        return order.positions(), lambda k, position: augmenter.of_image(k, *at(position))
    encoded = _encoded_at(by_position)
    return order.positions(), lambda k, position: augmenter.of_file(k, *encoded(position))


def _encoded_at(examples: Examples | Records) -> Callable[[tf.Tensor], tuple]:
    """Maps a position to (the file's bytes, label)."""
    if isinstance(examples, Records):
        encoded = examples.encoded()
        _has_random_access(encoded)
        return functools.partial(tf.data.experimental.at, encoded)
    paths = tf.constant([os.fsencode(path) for path in examples.images])
    labels = tf.constant(examples.labels)
    return lambda position: (tf.io.read_file(paths[position]), labels[position])


def _endless_batches(
    examples: tf.data.Dataset, batch_size: int, augmenter: Augmenter
) -> tf.data.Dataset:
    stream = examples.batch(batch_size, drop_remainder=True)
    if augmenter.augmentation.mixes:
        stream = _in_parallel(stream, augmenter.mixed)
    endless = tf.data.experimental.assert_cardinality(tf.data.INFINITE_CARDINALITY)
    return stream.prefetch(tf.data.AUTOTUNE).apply(endless)


def _cached(
    pairs: tf.data.Dataset,
    preprocessing: Preprocessing,
    by_position: Examples | Records | None,
    training: bool,
) -> tuple[tf.data.Dataset, Preprocessing, Examples | Records | None]:
    """``pairs`` that stay in memory, what is left to do to them, and ``by_position`` where not.

    A random window of ``crop_scale`` is one of the whole image, to which nothing was done before.
    """
    shapes = _shapes(pairs)
    side = None if training and preprocessing.crop_scale else preprocessing.resize
    if side is not None and _fits_in_memory(pairs, _resized(shapes, side), tf.float32):
        pairs = _in_parallel(pairs, lambda image, label: (preprocessing.resized(image), label))
        if training:
            _has_random_access(pairs)
        return pairs.cache(), dataclasses.replace(preprocessing, resize=None), None
    if _fits_in_memory(pairs, shapes, tf.uint8):
        return pairs.cache(), preprocessing, None
    logging.warning(
        "Images are not cached: they would take %.1f GiB, more than half of the memory",
        _needed(pairs, shapes, tf.uint8) / 2**30,
    )
    return pairs, preprocessing, by_position


def _evaluated(
    preprocessing: Preprocessing, image: tf.Tensor, label: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    return preprocessing.evaluation(image), class_number(label)


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
    label = spec[1]
    if not isinstance(label, tf.TensorSpec) or not label.dtype.is_integer or label.shape.rank:
        raise ValueError(
            "`dataset` must hold labels that are single integers, the numbers of classes: neither "
            f"vectors nor floats. Received: labels {label}"
        )


def _check_trainable(dataset: tf.data.Dataset, batch_size: int, shuffle_buffer: int | None) -> None:
    examples = int(dataset.cardinality())
    if examples < 0:
        raise ValueError(
            "`dataset` must have a known, finite number of examples for training. "
            "Use `dataset.apply(tf.data.experimental.assert_cardinality(n))`"
        )
    check_enough(examples, batch_size)
    if shuffle_buffer is not None:
        positive_int("shuffle_buffer", shuffle_buffer)
    elif not _has_random_access(dataset):
        raise ValueError(
            "`shuffle_buffer` must be given for a `dataset` that TensorFlow cannot read by "
            f"position. Received: shuffle_buffer=None, dataset={dataset}"
        )


def _has_random_access(dataset: tf.data.Dataset) -> bool:
    """Whether TensorFlow can read the data set by position; to be asked before it does.

    A mapped data set keeps the runtime of whoever reads it by position first. If that is an
    iterator (TensorFlow 2.21), reading after the iterator's end crashes the process; here it is
    the program itself.
    """
    try:
        tf.data.experimental.at(dataset, 0)
    except tf.errors.UnimplementedError:
        return False
    return True


def _shapes(dataset: tf.data.Dataset) -> np.ndarray:
    """Height, width and channels of the images, (n, 3): one row where all have one shape."""
    shape = dataset.element_spec[0].shape
    if shape.is_fully_defined():
        return np.array([shape.as_list()])
    return np.array([image.shape.as_list() for image, _ in dataset.take(16)]).reshape(-1, 3)


def _resized(shapes: np.ndarray, side: int) -> np.ndarray:
    """``shapes`` after the shorter side was resized to ``side``."""
    sides = shapes[:, :2] * side // shapes[:, :2].min(axis=1, keepdims=True)
    return np.concatenate([sides, shapes[:, 2:]], axis=1)


def _needed(dataset: tf.data.Dataset, shapes: np.ndarray, dtype: tf.DType) -> float:
    """Bytes that all images take, by the mean of the shapes that are known."""
    numbers = float(shapes.prod(axis=1).mean()) if len(shapes) else 0.0
    return int(dataset.cardinality()) * numbers * dtype.size


def _fits_in_memory(dataset: tf.data.Dataset, shapes: np.ndarray, dtype: tf.DType) -> bool:
    """Whether the images take at most half of the machine's memory."""
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return _needed(dataset, shapes, dtype) <= memory // 2
