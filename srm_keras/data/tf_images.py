"""Images in TensorFlow ops: the steps of ``Preprocessing``, and of ``Augmentation``.

Values stay in [0, 255]; they are uint8 as long as nothing was resized.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
import tensorflow.experimental.numpy as tnp

from srm_keras.data import augmentation as mixing
from srm_keras.data.augmentation import Augmentation
from srm_keras.data.decode import DCT_METHOD, decode
from srm_keras.data.preprocessing import Preprocessing

_TRIES = 10


def with_channels(images: tf.Tensor, channels: int) -> tf.Tensor:
    """Images (…, H, W, 1 or 3) with ``channels`` channels; raises ``ValueError`` for 1 out of 3."""
    images = tf.convert_to_tensor(images)
    given = images.shape[-1]
    if given == 1 and channels == 3:
        return tf.image.grayscale_to_rgb(images)
    if given != channels:
        raise ValueError(
            f"`channels` must be that of the images, {given}"
            f"{', or 3' if given == 1 else ''}. Received: channels={channels}"
        )
    return images


def shorter_side(images: tf.Tensor, side: int | None, method: str = "bilinear") -> tf.Tensor:
    """The shorter side resized to ``side`` (the longer rounded down), or the images as given."""
    if side is None:
        return images
    sides = tf.shape(images)[-3:-1]
    return _resize(images, sides * side // tf.reduce_min(sides), method, antialias=True)


def _resize(images: tf.Tensor, sides: Any, method: str, antialias: bool) -> tf.Tensor:
    """``tf.image.resize``, within [0, 255], which cubic weights overshoot."""
    images = tf.image.resize(images, sides, method, antialias=antialias)
    return images if method == "bilinear" else tf.clip_by_value(images, 0.0, 255.0)


def middle(images: tf.Tensor, size: int) -> tf.Tensor:
    """The middle ``size`` × ``size``, black where an image is smaller."""
    return tf.image.resize_with_crop_or_pad(images, size, size)


def random_crop(image: tf.Tensor, size: int, pad: int, draws: tf.Tensor) -> tf.Tensor:
    """A ``size`` × ``size`` window of one image after ``pad`` black pixels on every side.

    Args:
        image: (H, W, C). If it is still smaller than the window, it gets a wider margin.
        size: Side of the window.
        pad: Width of the margin.
        draws: Two numbers in [0, 1): the place of the upper left corner.
    """
    sides = tf.shape(image)[:2] + 2 * pad
    height, width = tf.unstack(tf.maximum(sides, size))
    image = tf.image.resize_with_crop_or_pad(image, height, width)
    room = tf.cast(tf.shape(image)[:2] - size, tf.float32)
    corner = tf.cast(tf.floor(draws * (room + 1)), tf.int32)
    channels = image.shape[-1]
    image = tf.slice(image, tf.pad(corner, [[0, 1]]), (size, size, channels))
    return tf.ensure_shape(image, (size, size, channels))


def inception_window(
    sides: tf.Tensor, scale: tuple[float, float], ratio: tuple[float, float], seed: tf.Tensor
) -> tf.Tensor:
    """The window of a random resized crop (Szegedy et al. 2015, section 6; as in torchvision).

    Its area is uniform in ``scale`` times the image's, the logarithm of its width / height is
    uniform, its place is uniform. The first of ten tries that fits into the image is taken, else
    the largest window in the image's middle whose proportions are in ``ratio``.

    Args:
        sides: (2,) int32, height and width of the image.
        scale: Smallest and largest area as parts of the image's.
        ratio: Smallest and largest width / height.
        seed: (2,) integers; the window is a pure function of them and of ``sides``.

    Returns:
        (4,) int32: top, left, height, width.
    """
    limit = tf.cast(sides, tf.float32)
    draws = tf.unstack(tf.random.stateless_uniform((4, _TRIES), seed, alg="philox"))
    area = (scale[0] + draws[0] * (scale[1] - scale[0])) * limit[0] * limit[1]
    logs = math.log(ratio[0]), math.log(ratio[1])
    proportion = tf.exp(logs[0] + draws[1] * (logs[1] - logs[0]))
    shapes = tf.round(tf.sqrt(tf.stack([area / proportion, area * proportion])))
    room = limit[:, None] - shapes
    corners = tf.floor(tf.stack(draws[2:]) * (room + 1))
    fits = tf.reduce_all((room >= 0) & (shapes >= 1), axis=0)
    largest = tf.clip_by_value(limit, 1, tf.stack([limit[1] / ratio[0], limit[0] * ratio[1]]))
    largest = tf.maximum(tf.round(largest), 1)
    fallback = tf.concat([tf.floor((limit - largest) / 2), largest], axis=0)
    tried = tf.concat([corners, shapes], axis=0)[:, tf.argmax(fits)]
    return tf.cast(tf.where(tf.reduce_any(fits), tried, fallback), tf.int32)


def window(image: tf.Tensor, bounds: tf.Tensor) -> tf.Tensor:
    """The part of one image (H, W, C) that ``bounds``, (top, left, height, width), name."""
    corner, shape = tf.pad(bounds[:2], [[0, 1]]), tf.pad(bounds[2:], [[0, 1]], constant_values=-1)
    return tf.ensure_shape(tf.slice(image, corner, shape), (None, None, image.shape[-1]))


def file_window(content: tf.Tensor, bounds_of: Callable[[tf.Tensor], tf.Tensor]) -> tf.Tensor:
    """Decodes of a file the part that ``bounds_of(sides)`` names, as RGB.

    Of a JPEG only the blocks that the window meets are decoded. As the decoder then knows nothing
    of the pixels beyond, colours at the window's border can differ by a few levels from those of
    the whole image.

    Args:
        content: Scalar string, the file.
        bounds_of: Maps (2,) int32 height and width to (4,) int32 top, left, height, width.

    Returns:
        uint8 (height, width, 3).
    """

    def of_jpeg() -> tf.Tensor:
        bounds = bounds_of(tf.io.extract_jpeg_shape(content)[:2])
        return tf.io.decode_and_crop_jpeg(content, bounds, channels=3, dct_method=DCT_METHOD)

    def of_other() -> tf.Tensor:
        image = decode(content)
        return window(image, bounds_of(tf.shape(image)[:2]))

    return tf.ensure_shape(tf.cond(tf.io.is_jpeg(content), of_jpeg, of_other), (None, None, 3))


def resized(image: tf.Tensor, size: int, method: str = "bilinear") -> tf.Tensor:
    """One image (H, W, C) resized to ``size`` × ``size`` with antialiasing; float32."""

    def to_size(antialias: bool) -> tf.Tensor:
        return _resize(image, (size, size), method, antialias)

    # Where both sides grow, antialiasing changes nothing, and the op without it is faster.
    grows = tf.reduce_all(tf.shape(image)[:2] <= size)
    image = tf.cond(grows, lambda: to_size(False), lambda: to_size(True))
    return tf.ensure_shape(image, (size, size, image.shape[-1]))


def mirrored(image: tf.Tensor, draw: tf.Tensor) -> tf.Tensor:
    """The image (H, W, C), left and right exchanged if ``draw`` is less than 1/2."""
    return tf.cond(draw < 0.5, lambda: tf.reverse(image, [1]), lambda: image)


def scaled(images: tf.Tensor, scale: Sequence[float], offset: Sequence[float]) -> tf.Tensor:
    """``images * scale + offset`` in float32, with one number of each, or one a channel.

    Args:
        images: (…, C).
        scale: 1 or C numbers.
        offset: 1 or C numbers.
    """
    images = tf.cast(images, tf.float32)
    shape = images.shape
    if shape.rank != 3 or not shape.is_fully_defined():
        return images * scale + offset
    # Row by row: TensorFlow broadcasts over an axis of three several times slower.
    height, width, channels = shape
    rows = tf.reshape(images, (height, width * channels))
    factor, addend = (
        np.tile(np.asarray(v, "float32"), width * channels // len(v)) for v in (scale, offset)
    )
    return tf.reshape(rows * factor + addend, shape)


class StatelessSeeds(keras.random.SeedGenerator):
    """Seeds for Keras' random functions, without a state to keep: the n-th follows from (seed, n).

    Args:
        seed: (2,) integers; may be symbolic.
    """

    def __init__(self, seed: tf.Tensor) -> None:
        # Without the base class's __init__, which makes the variable that this does without.
        self._seed = seed
        self._given = 0

    def next(self, ordered: bool = True) -> tf.Tensor:
        """The next seed, (2,)."""
        del ordered
        self._given += 1
        return tf.random.experimental.stateless_fold_in(self._seed, self._given)


class RandAugment:
    """RandAugment (Cubuk et al. 2020) with the operations of ``keras.layers.RandAugment``.

    That layer computes all eleven operations for each place in the chain and takes its choice and
    numbers from a generator with state. Here the operations are the same ``keras.layers``, but only
    the chosen one is computed, and everything random is a function of the seed.

    Args:
        operations: Number of operations applied one after the other.
        magnitude: Their strength in [0, 1].

    Raises:
        ValueError: If Keras' backend is not TensorFlow.
    """

    def __init__(self, operations: int, magnitude: float) -> None:
        if keras.backend.backend() != "tensorflow":
            raise ValueError(
                "`rand_augment` needs Keras' TensorFlow backend. "
                f"Received: {keras.backend.backend()!r}"
            )
        self.operations = operations
        self.layers = _layers(magnitude)

    def __call__(self, image: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """The image (H, W, C) of values in [0, 255], augmented; float32."""
        image = tf.cast(image, tf.float32)
        for place in range(self.operations):
            own = tf.random.experimental.stateless_fold_in(seed, place)
            choice = tf.random.stateless_uniform(
                (), own, maxval=len(self.layers), dtype=tf.int32, alg="philox"
            )
            branches = [_applied(layer, image, own) for layer in self.layers]
            image = tf.ensure_shape(tf.switch_case(choice, branches), image.shape)
        return image


def _layers(magnitude: float) -> list[Any]:
    layers, colours = keras.layers, {"value_range": (0, 255)}
    return [
        layers.RandomShear(magnitude, magnitude),
        layers.RandomTranslation(magnitude, magnitude),
        layers.RandomRotation(magnitude),
        layers.RandomBrightness(magnitude, **colours),
        layers.RandomColorDegeneration(magnitude, **colours),
        layers.RandomContrast(magnitude, **colours),
        layers.RandomSharpness(magnitude, **colours),
        layers.RandomPosterization(max(1, int(8 * magnitude)), **colours),
        layers.Solarization(magnitude, magnitude, **colours),
        layers.AutoContrast(**colours),
        layers.Equalization(**colours),
    ]


def _applied(layer: Any, image: tf.Tensor, seed: tf.Tensor) -> Any:
    def branch() -> tf.Tensor:
        images = image[None]
        numbers = layer.get_random_transformation(images, training=True, seed=StatelessSeeds(seed))
        return tf.ensure_shape(layer.transform_images(images, numbers, True)[0], image.shape)

    return branch


_RAND_AUGMENT, _MIX, _MIXUP, _CUTMIX, _ERASED, _NOISE = range(2, 8)
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

    def mixed(self, images: tf.Tensor, labels: tf.Tensor, blend: tuple[tf.Tensor, ...]) -> tuple:
        """MixUp and CutMix of a batch, as ``mixing`` says; labels become float32 vectors."""
        inside, box, label_weights = blend
        weights = mixing.own_weights(tnp, self.preprocessing.image_size, inside, tf.transpose(box))
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
        image = self.preprocessing.standardized(image)
        if self.augmentation.random_erasing:
            image = self._erased(image, seed)
        example = (image, class_number(label))
        return (*example, self._blend(seed)) if self.augmentation.mixes else example

    def _erased(self, image: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        shape = (4, mixing.ERASING_TRIES + 1)
        draws = tf.random.stateless_uniform(shape, _stream(seed, _ERASED), alg="philox")
        erased = draws[0, -1] < self.augmentation.random_erasing
        box = mixing.erased_box(tnp, self.preprocessing.image_size, draws[:, :-1], erased)
        mask = mixing.within(tnp, self.preprocessing.image_size, box)
        noise = tf.random.stateless_normal(image.shape, _stream(seed, _NOISE), alg="philox")
        return tf.where(mask, noise, image)

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
