"""Batches to train on and to evaluate on."""

import functools
import os
from collections.abc import Callable
from dataclasses import dataclass

import tensorflow as tf
import tensorflow.experimental.numpy as tnp
from absl import logging

from srm_keras.data import augmentation as mixing
from srm_keras.data.augmentation import Augmentation
from srm_keras.data.checks import seed_in_range
from srm_keras.data.examples import Examples
from srm_keras.data.preprocessing import Preprocessing
from srm_keras.data.sources.prepared import Records
from srm_keras.data.stream_checks import check_augmentation, check_enough, check_part
from srm_keras.data.tf_images import RandAugment
from srm_keras.support.validation import boolean, positive_int


@dataclass(frozen=True)
class Order:
    """Which examples a training stream consists of, from which one on, and which part of it.

    The stream is example 0, 1, 2, … without end; batch k is the examples from ``k * batch_size``
    on. An epoch is ``examples // batch_size`` batches of a new random permutation.

    Attributes:
        examples: Number of examples in the data set.
        batch_size: Number of examples in a (global) batch.
        seed: Integer in [0, 2**63).
        start_step: The batch to begin with.
        shard: (i, n): part i of the n equal parts of each batch.
    """

    examples: int
    batch_size: int
    seed: int
    start_step: int = 0
    shard: tuple[int, int] = (0, 1)

    @property
    def used(self) -> int:
        """Number of examples in an epoch, a multiple of the batch size."""
        return self.examples - self.examples % self.batch_size

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
            places = epoch * self.used + tf.range(start, self.used, dtype=tf.int64)
            pairs = (self._own(places), self._own(order[start : self.used]))
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


Pair = tuple[tf.Tensor, tf.Tensor]

_RAND_AUGMENT, _MIX, _MIXUP, _CUTMIX = 2, 3, 4, 5
"""Numbers of independent random streams of an example's seed (``Preprocessing`` has 1)."""


class Augmenter:
    """What training does to example k of a stream: a pure function of the example, seed and k.

    Args:
        preprocessing: Crop, mirroring, standardization.
        augmentation: What is done beyond that.
        num_classes: Length of the label vectors, if images are mixed.
        seed: Integer in [0, 2**63).
    """

    def __init__(
        self,
        preprocessing: Preprocessing,
        augmentation: Augmentation,
        num_classes: int | None,
        seed: int,
    ) -> None:
        self.preprocessing = preprocessing
        self.augmentation = augmentation
        self.num_classes = num_classes
        self.seed = seed
        operations = augmentation.rand_augment
        self._rand_augment = RandAugment(operations, augmentation.magnitude) if operations else None

    def of_image(self, place: tf.Tensor, image: tf.Tensor, label: tf.Tensor) -> tuple:
        """Example ``place`` of the stream, from a uint8 image (H, W, C)."""
        seed = tf.stack([self.seed, place])
        return self._finished(self.preprocessing.augmented(image, seed), label, seed)

    def of_file(self, place: tf.Tensor, content: tf.Tensor, label: tf.Tensor) -> tuple:
        """Example ``place`` of the stream, from an encoded file."""
        seed = tf.stack([self.seed, place])
        return self._finished(self.preprocessing.augmented_file(content, seed), label, seed)

    def mixed(self, images: tf.Tensor, labels: tf.Tensor, blend: tuple[tf.Tensor, ...]) -> Pair:
        """MixUp and CutMix of a batch, as ``mixing`` says; labels become float32 vectors."""
        inside, box, label_weights = blend
        size = self.preprocessing.image_size
        weights = mixing.own_weights(tnp, size, inside, tf.transpose(box))
        partners = mixing.partners(images.shape[0])
        vectors = tf.one_hot(labels, self.num_classes, dtype=tf.float32)
        of_labels = label_weights[:, None]
        return (
            weights * images + (1 - weights) * tf.gather(images, partners),
            of_labels * vectors + (1 - of_labels) * tf.gather(vectors, partners),
        )

    def _finished(self, image: tf.Tensor, label: tf.Tensor, seed: tf.Tensor) -> tuple:
        if self._rand_augment:
            image = self._rand_augment(image, _stream(seed, _RAND_AUGMENT))
        example = (self.preprocessing.standardized(image), class_number(label))
        return (*example, self._blend(seed)) if self.augmentation.mixes else example

    def _blend(self, seed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        draws = tf.random.stateless_uniform((3,), _stream(seed, _MIX), alg="philox")
        return mixing.blend(
            tnp,
            self.preprocessing.image_size,
            _beta(self.augmentation.mixup, _stream(seed, _MIXUP)),
            _beta(self.augmentation.cutmix, _stream(seed, _CUTMIX)),
            draws[:2],
            draws[2] < self.augmentation.cutmix_chance,
        )


def class_number(label: tf.Tensor) -> tf.Tensor:
    """An integer label as int32; a number that int32 does not hold fails when it is met."""
    number = tf.cast(label, tf.int32)
    if label.dtype.size < tf.int32.size or label.dtype == tf.int32:
        return number
    held = tf.logical_and(tf.cast(number, label.dtype) == label, number >= 0)
    message = "Labels must be numbers of classes, from 0, which fit into int32. Received:"
    with tf.control_dependencies([tf.debugging.Assert(held, [message, label])]):
        return tf.identity(number)


def _stream(seed: tf.Tensor, number: int) -> tf.Tensor:
    return tf.random.experimental.stateless_fold_in(seed, number)


def _beta(alpha: float, seed: tf.Tensor) -> tf.Tensor:
    """A float32 number from Beta(alpha, alpha), or 1 for alpha = 0."""
    if alpha == 0:
        return tf.constant(1.0)
    # In float64, as both can be smaller than float32 holds where alpha is small.
    gammas = tf.random.stateless_gamma((2,), seed, alpha, dtype=tf.float64)
    return tf.cast(gammas[0] / (gammas[0] + gammas[1]), tf.float32)


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
) -> tf.data.Dataset:
    """Preprocessed batches of a data set.

    For evaluation: all examples once, in order; the last batch may be smaller.

    For training: an endless stream, to be used with ``steps_per_epoch``. Each epoch, of
    ``num_examples // batch_size`` full batches, has a new order. Which examples batch k holds and
    how they are cropped, mirrored, augmented and mixed depend on ``seed`` and k alone, not on
    TensorFlow's global seed, so that ``start_step=k`` goes on where another run stopped.

    Args:
        dataset: What ``load_examples`` returns, or unbatched (uint8 image (H, W, C), integer label)
            pairs, as ``load`` returns them. Of the former, if they are encoded, training with
            ``crop_scale`` decodes the windows that it takes and no more.
        preprocessing: What is done to the images.
        batch_size: Number of examples in a batch; with ``shard``, in all of its parts together.
        training: Whether to shuffle, augment and repeat.
        seed: Integer in [0, 2**63); of training's order and augmentation.
        cache: Whether decoded images are kept in memory after they were first read. Where they
            would take more than half of it, this is logged and they are not.
        shuffle_buffer: None: every epoch is a random permutation, for which TensorFlow must be
            able to read any example of ``dataset`` by its position; it can for those of ``load``.
            A number: the size of the buffer to shuffle a data set in that can only be read from
            its beginning. Then the order depends on TensorFlow's global seed too, and on how often
            the result was iterated over before.
        augmentation: Training only: RandAugment, MixUp, CutMix.
        num_classes: Length of the label vectors; needed with MixUp or CutMix.
        start_step: Training only: the batch to begin with. The ones before it are not decoded;
            with ``shuffle_buffer`` they are read, though not augmented.
        shard: Training only: (i, n) gives part i of n of each batch. The parts of a batch, one
            after the other, are the batch.

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
    pairs = dataset.dataset() if isinstance(dataset, Examples | Records) else dataset
    _check_elements(pairs)
    if training:
        _check_trainable(pairs, batch_size, shuffle_buffer)
    cached = cache and _fits_in_memory(pairs)
    if cached:
        pairs = pairs.cache()
    if not training:
        stream = _in_parallel(pairs, lambda *pair: _evaluated(preprocessing, *pair))
        return stream.batch(batch_size).prefetch(tf.data.AUTOTUNE)
    order = Order(int(pairs.cardinality()), batch_size, seed, start_step, shard)
    augmenter = Augmenter(preprocessing, augmentation or Augmentation(), num_classes, seed)
    if shuffle_buffer is not None:
        stream = _from_buffer(pairs, shuffle_buffer, order, augmenter)
    elif isinstance(dataset, Examples | Records) and not dataset.in_memory and not cached:
        stream = _from_encoded(dataset, order, augmenter)
    else:
        stream = _from_positions(pairs, order, augmenter)
    return _endless_batches(stream, order.local_batch_size, augmenter)


def _from_positions(pairs: tf.data.Dataset, order: Order, augmenter: Augmenter) -> tf.data.Dataset:
    def read(place: tf.Tensor, position: tf.Tensor) -> tuple:
        return augmenter.of_image(place, *tf.data.experimental.at(pairs, position))

    return _in_parallel(order.positions(), read)


def _from_encoded(
    examples: Examples | Records, order: Order, augmenter: Augmenter
) -> tf.data.Dataset:
    encoded = _encoded_at(examples)

    def read(place: tf.Tensor, position: tf.Tensor) -> tuple:
        return augmenter.of_file(place, *encoded(position))

    return _in_parallel(order.positions(), read)


def _encoded_at(examples: Examples | Records) -> Callable[[tf.Tensor], tuple]:
    """Maps a position to (the file's bytes, label)."""
    if isinstance(examples, Records):
        encoded = examples.encoded()
        _has_random_access(encoded)
        return functools.partial(tf.data.experimental.at, encoded)
    paths = tf.constant([os.fsencode(path) for path in examples.images])
    labels = tf.constant(examples.labels)
    return lambda position: (tf.io.read_file(paths[position]), labels[position])


def _from_buffer(
    pairs: tf.data.Dataset, buffer: int, order: Order, augmenter: Augmenter
) -> tf.data.Dataset:
    def augment(place: tf.Tensor, pair: tuple[tf.Tensor, tf.Tensor]) -> tuple:
        return augmenter.of_image(place, *pair)

    return _in_parallel(order.shuffled(pairs, buffer), augment)


def _endless_batches(
    examples: tf.data.Dataset, batch_size: int, augmenter: Augmenter
) -> tf.data.Dataset:
    stream = examples.batch(batch_size, drop_remainder=True)
    if augmenter.augmentation.mixes:
        stream = _in_parallel(stream, augmenter.mixed)
    endless = tf.data.experimental.assert_cardinality(tf.data.INFINITE_CARDINALITY)
    return stream.prefetch(tf.data.AUTOTUNE).apply(endless)


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
