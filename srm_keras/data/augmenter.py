"""From a source image to a training example, and from examples to mixed batches."""

import tensorflow as tf
import tensorflow.experimental.numpy as tnp

from srm_keras.data import mixing
from srm_keras.data.augmentation import Augmentation
from srm_keras.data.preprocessing import Preprocessing
from srm_keras.data.rand_augment import RandAugment

Pair = tuple[tf.Tensor, tf.Tensor]

_RAND_AUGMENT, _MIX, _MIXUP, _CUTMIX = 2, 3, 4, 5
"""Numbers that make independent random streams out of an example's seed (`Preprocessing` has 1)."""


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
        """Example `place` of the stream, from a uint8 image (H, W, C)."""
        seed = tf.stack([self.seed, place])
        return self._finished(self.preprocessing.augmented(image, seed), label, seed)

    def of_file(self, place: tf.Tensor, content: tf.Tensor, label: tf.Tensor) -> tuple:
        """Example `place` of the stream, from an encoded file."""
        seed = tf.stack([self.seed, place])
        return self._finished(self.preprocessing.augmented_file(content, seed), label, seed)

    def mixed(self, images: tf.Tensor, labels: tf.Tensor, blend: tuple[tf.Tensor, ...]) -> Pair:
        """MixUp and CutMix of a batch, as `mixing` says; labels become float32 vectors."""
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
