"""Batches of in-memory images, made with ``keras.ops`` alone: no TensorFlow needed."""

import math
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
from keras import ops

from srm_keras.data import augmentation as mixing
from srm_keras.data.augmentation import Augmentation
from srm_keras.data.checks import (
    check_augmentation,
    check_enough,
    check_part,
    check_repeats,
    seed_in_range,
)
from srm_keras.data.examples import Examples
from srm_keras.data.preprocessing import Preprocessing
from srm_keras.support.validation import boolean, positive_int

_ORDER, _CROP, _MIX, _ERASE = range(4)
"""Numbers that make independent random streams out of the seed."""


class ArrayBatches(keras.utils.PyDataset):
    """Preprocessed batches of ``Examples`` in memory, on any Keras backend.

    The contract is that of ``srm_keras.data.batches``. For evaluation: all examples once, in order;
    the last batch may be smaller. For training: an endless stream whose batch k depends on ``seed``
    and k alone (NumPy's counter-based Philox generator), so that ``start_step=k`` goes on where
    another run stopped. The random numbers are others than those of ``batches``, and NumPy keeps
    them between its releases where it can, not always.

    It can be given to ``fit``, with ``steps_per_epoch`` and ``shuffle=False``, to ``evaluate`` and
    to ``predict``; ``iter`` of it gives the batches; ``array_batches[i]`` is batch
    ``start_step + i``.

    Args:
        examples: ``Examples`` that hold an array.
        preprocessing: What is done to the images; without ``resize`` and ``crop_scale``.
        batch_size: Number of examples in a batch.
        training: Whether to shuffle, augment and repeat.
        seed: Integer in [0, 2**63); of training's order and augmentation.
        start_step: Training only: the batch to begin with.
        augmentation: Training only: random erasing, MixUp and CutMix; without RandAugment.
        num_classes: Length of the label vectors; needed with MixUp or CutMix.
        repeats: Training only: how often each image stands in its batch, as for ``batches``.

    Each batch is (float32 images (B, image_size, image_size, channels), labels). Labels are int32
    (B,), or with MixUp or CutMix float32 (B, num_classes). Images are tensors of the backend.

    Raises:
        ValueError: If an argument is wrong, or in training if there are fewer examples than a
            batch.

    Example:
        >>> batches = ArrayBatches(examples, Preprocessing(32, pad=4, flip=True), 128, True)
        >>> model.fit(batches, steps_per_epoch=100, epochs=5, shuffle=False)
    """

    def __init__(
        self,
        examples: Examples,
        preprocessing: Preprocessing,
        batch_size: int,
        training: bool,
        seed: int = 0,
        *,
        start_step: int = 0,
        augmentation: Augmentation | None = None,
        num_classes: int | None = None,
        repeats: int = 1,
    ) -> None:
        super().__init__()
        batch_size = positive_int("batch_size", batch_size)
        boolean("training", training)
        seed = seed_in_range(seed)
        start_step, _ = check_part(batch_size, training, start_step, (0, 1))
        check_augmentation(augmentation, num_classes, training, batch_size, examples)
        repeats = check_repeats(batch_size, training, repeats, augmentation)
        _check_supported(examples, preprocessing, augmentation)
        if training:
            check_enough(len(examples), batch_size // repeats)
        self.examples = examples
        self.preprocessing = preprocessing
        self.batch_size = batch_size
        self.training = training
        self.seed = seed
        self.repeats = repeats
        self.start_step = start_step
        self.augmentation = augmentation or Augmentation()
        self.num_classes = num_classes
        self._epoch_order: tuple[int, np.ndarray] = (-1, np.array([], "int64"))

    @property
    def num_batches(self) -> int | None:
        """Number of batches; None in training, which has no end."""
        return None if self.training else math.ceil(len(self.examples) / self.batch_size)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        """Batch ``start_step + index``."""
        if self.training:
            return self._training_batch(self.start_step + index)
        places = slice(index * self.batch_size, (index + 1) * self.batch_size)
        images = self._middle(self._images(places))
        return self._standardized(images), self.examples.labels[places]

    def __iter__(self) -> Iterator[tuple[Any, Any]]:
        """The batches from ``start_step`` on, without end in training."""
        index = 0
        while self.num_batches is None or index < self.num_batches:
            yield self[index]
            index += 1

    def _training_batch(self, step: int) -> tuple[Any, Any]:
        positions = self._positions(step)
        images = self._standardized(self._cropped(self._images(positions), step))
        labels = self.examples.labels[positions]
        if self.augmentation.random_erasing:
            images = self._erased(images, step)
        return self._mixed(images, labels, step) if self.augmentation.mixes else (images, labels)

    def _positions(self, step: int) -> np.ndarray:
        """Positions in the data set of the examples of batch ``step``."""
        distinct = self.batch_size // self.repeats
        epoch, within = divmod(step, len(self.examples) // distinct)
        if self._epoch_order[0] != epoch:
            order = _generator(self.seed, _ORDER, epoch).permutation(len(self.examples))
            self._epoch_order = (epoch, order)
        places = np.arange(within * self.batch_size, (within + 1) * self.batch_size)
        return self._epoch_order[1][mixing.in_repeats(places, self.batch_size, self.repeats)]

    def _images(self, positions: Any) -> Any:
        """uint8 tensor (B, H, W, channels)."""
        assert isinstance(self.examples.images, np.ndarray)
        images = ops.convert_to_tensor(self.examples.images[positions])
        grey = images.shape[-1] == 1 and self.preprocessing.channels == 3
        return ops.repeat(images, 3, axis=-1) if grey else images

    def _middle(self, images: Any) -> Any:
        """The middle ``image_size`` × ``image_size``, black where an image is smaller."""
        size = self.preprocessing.image_size
        height, width = images.shape[1:3]
        images = ops.pad(images, [(0, 0), _margins(height, size), _margins(width, size), (0, 0)])
        top, left = (max(0, side - size) // 2 for side in (height, width))
        return images[:, top : top + size, left : left + size]

    def _cropped(self, images: Any, step: int) -> Any:
        """A random window of each padded image, mirrored with probability 1/2 if so asked."""
        size, pad = self.preprocessing.image_size, self.preprocessing.pad
        margins = [
            tuple(pad + extra for extra in _margins(side + 2 * pad, size))
            for side in images.shape[1:3]
        ]
        padded = ops.pad(images, [(0, 0), *margins, (0, 0)])
        count, height, width, channels = padded.shape
        draws = _generator(self.seed, _CROP, step).random((3, count))
        rows = _window(draws[0], height, size)
        columns = _window(draws[1], width, size)
        if self.preprocessing.flip:
            columns = np.where(draws[2, :, None] < 0.5, columns[:, ::-1], columns)
        pixels = (np.arange(count)[:, None] * height + rows)[:, :, None] * width
        pixels = (pixels + columns[:, None]).astype("int32")
        return ops.take(ops.reshape(padded, (-1, channels)), pixels, axis=0)

    def _standardized(self, images: Any) -> Any:
        scale, offset = self.preprocessing.scale_and_offset()
        images = ops.cast(images, "float32")
        return images * ops.convert_to_tensor(scale, "float32") + ops.convert_to_tensor(
            offset, "float32"
        )

    def _erased(self, images: Any, step: int) -> Any:
        """Random erasing of a batch, as ``mixing`` says."""
        size, count = self.preprocessing.image_size, self.batch_size
        generator = _generator(self.seed, _ERASE, step)
        erased = generator.random(count) < self.augmentation.random_erasing
        draws = generator.random((4, count, mixing.ERASING_TRIES))
        mask = mixing.within(np, size, mixing.erased_box(np, size, draws, erased))
        noise = generator.standard_normal(tuple(images.shape), "float32")
        return ops.where(ops.convert_to_tensor(mask), ops.convert_to_tensor(noise), images)

    def _mixed(self, images: Any, labels: np.ndarray, step: int) -> tuple[Any, np.ndarray]:
        """MixUp and CutMix of a batch, as ``mixing`` says."""
        assert self.num_classes is not None
        size, count = self.preprocessing.image_size, self.batch_size
        generator = _generator(self.seed, _MIX, step)
        mixup = _beta(generator, self.augmentation.mixup, count)
        cutmix = _beta(generator, self.augmentation.cutmix, count)
        draws = generator.random((3, count))
        cut = draws[2] < self.augmentation.cutmix_chance
        inside, box, of_labels = mixing.blend(np, size, mixup, cutmix, draws[:2], cut)
        own = ops.convert_to_tensor(mixing.own_weights(np, size, inside, box), "float32")
        partners = mixing.partners(count)
        vectors = np.eye(self.num_classes)[labels]
        of_labels = of_labels[:, None]
        return (
            own * images + (1 - own) * ops.take(images, partners, axis=0),
            (of_labels * vectors + (1 - of_labels) * vectors[partners]).astype("float32"),
        )


def _generator(seed: int, stream: int, step: int) -> np.random.Generator:
    """The random numbers of (seed, stream, step), independent of all others'."""
    return np.random.Generator(np.random.Philox(key=(seed, stream), counter=(0, 0, 0, step)))


def _beta(generator: np.random.Generator, alpha: float, count: int) -> np.ndarray:
    """Numbers (count,) from Beta(alpha, alpha), or ones for alpha = 0."""
    return generator.beta(alpha, alpha, count) if alpha else np.ones(count)


def _margins(side: int, size: int) -> tuple[int, int]:
    """Black pixels before and after, which a side needs to be at least ``size``."""
    missing = max(0, size - side)
    return missing // 2, missing - missing // 2


def _window(draws: np.ndarray, side: int, size: int) -> np.ndarray:
    """Places (B, size) of a window in a side, from B numbers in [0, 1)."""
    return (draws * (side - size + 1)).astype("int64")[:, None] + np.arange(size)


def _check_supported(
    examples: Any, preprocessing: Preprocessing, augmentation: Augmentation | None
) -> None:
    if not isinstance(examples, Examples) or not isinstance(examples.images, np.ndarray):
        raise ValueError(
            "`examples` must be Examples that hold their images in memory. "
            f"Received: {type(examples).__name__}"
        )
    for name in ("resize", "crop_scale"):
        value = getattr(preprocessing, name)
        if value is not None:
            raise ValueError(
                f"`{name}` needs `srm_keras.data.batches`, which uses TensorFlow. "
                f"Received: {name}={value!r}"
            )
    if augmentation is not None and augmentation.rand_augment:
        raise ValueError(
            "`rand_augment` needs `srm_keras.data.batches`, which uses TensorFlow. "
            f"Received: rand_augment={augmentation.rand_augment}"
        )
    given = examples.images.shape[-1]
    if preprocessing.channels != given and (given, preprocessing.channels) != (1, 3):
        raise ValueError(
            f"`channels` must be that of the images, {given}{', or 3' if given == 1 else ''}. "
            f"Received: channels={preprocessing.channels}"
        )
