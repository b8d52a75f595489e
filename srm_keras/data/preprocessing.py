"""From decoded images to what the network reads."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np

from srm_keras.support.validation import (
    as_float,
    boolean,
    int_of_at_least_0,
    nearest,
    one_of,
    positive_int,
)

if TYPE_CHECKING:
    import tensorflow as tf


INTERPOLATIONS = ("bilinear", "bicubic")


@dataclass(frozen=True)
class Preprocessing:
    """How images are made ready for a network, in evaluation and in training.

    Evaluation is deterministic: the shorter side is resized to ``resize``, the middle
    ``image_size`` × ``image_size`` is cut out, values are scaled to [0, 1] and standardized,
    ``(value / 255 - mean) / std``. An image that is smaller than ``image_size`` gets a black
    margin.

    Training takes the crop at random instead, after ``pad`` black pixels on every side ("pad 4
    zeros, random crop 32": Lee et al. 2019, section 4.1), and with ``flip`` mirrors every other
    image left to right. Without ``resize``, ``pad`` and ``flip`` it equals evaluation where images
    have ``image_size`` already.

    With ``crop_scale`` training takes a window of random area and proportions instead, and resizes
    it to ``image_size`` (random resized crop: Szegedy et al. 2015, section 6); ``resize`` is then
    for evaluation alone.

    Attributes:
        image_size: Side of the square that the network reads, in pixels.
        channels: Number of channels, 1 or 3. Grey images become 3 equal channels; colour images
            are refused where 1 is asked for.
        resize: Side in pixels to which the shorter side is resized first (with antialiasing; the
            longer side is rounded down), or None. At least ``image_size``.
        mean: Subtracted from values in [0, 1]; one number, or one for each channel.
        std: Divides after that; positive; one number, or one for each channel.
        pad: Training only: black pixels added on every side before the random crop.
        flip: Training only: mirror with probability 1/2.
        crop_scale: Training only: smallest and largest area of the random window as parts of the
            image's, ``(0.08, 1.0)`` for ImageNet; None: the window is ``image_size`` ×
            ``image_size``.
        crop_ratio: Training only: smallest and largest width / height of that window.
        interpolation: ``"bilinear"`` or ``"bicubic"``, wherever images are resized.

    Raises:
        ValueError: If an attribute is out of its range.
    """

    image_size: int
    channels: int = 3
    resize: int | None = None
    mean: tuple[float, ...] = (0.5,)
    std: tuple[float, ...] = (0.5,)
    pad: int = 0
    flip: bool = False
    crop_scale: tuple[float, float] | None = None
    crop_ratio: tuple[float, float] = (3 / 4, 4 / 3)
    interpolation: str = "bilinear"

    def __post_init__(self) -> None:
        checked: dict[str, Any] = {
            "image_size": positive_int("image_size", self.image_size),
            "channels": one_of("channels", self.channels, (1, 3)),
            "resize": None if self.resize is None else positive_int("resize", self.resize),
            "pad": int_of_at_least_0("pad", self.pad),
            "flip": boolean("flip", self.flip),
            "interpolation": one_of("interpolation", self.interpolation, INTERPOLATIONS),
        }
        for name, value in checked.items():
            object.__setattr__(self, name, value)
        if self.resize is not None and self.resize < self.image_size:
            raise ValueError(
                f"`resize` must be at least image_size={self.image_size}. "
                f"Received: resize={self.resize}"
            )
        for name in ("mean", "std"):
            values = _channel_values(name, getattr(self, name), self.channels)
            object.__setattr__(self, name, values)
        if min(self.std) <= 0:
            raise ValueError(f"`std` must be positive. Received: std={self.std}")
        object.__setattr__(self, "crop_ratio", _bounds("crop_ratio", self.crop_ratio))
        if self.crop_scale is not None:
            object.__setattr__(self, "crop_scale", _crop_scale(self.crop_scale, self.pad))

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(height, width, channels) of what the network reads."""
        return (self.image_size, self.image_size, self.channels)

    def evaluation(self, images: "tf.Tensor") -> "tf.Tensor":
        """What the network reads at test time; made of TensorFlow ops alone, to be exported.

        Args:
            images: uint8 (H, W, C) or (N, H, W, C); H and W may be unknown.

        Returns:
            float32 (image_size, image_size, channels), with N in front if there was one.
        """
        from srm_keras.data import tf_images

        images = self.resized(tf_images.with_channels(images, self.channels))
        return self.standardized(tf_images.middle(images, self.image_size))

    def training(self, image: "tf.Tensor", seed: "tf.Tensor") -> "tf.Tensor":
        """What the network reads in training; a pure function of the image and the seed.

        Args:
            image: uint8 (H, W, C).
            seed: (2,) integers.

        Returns:
            float32 (image_size, image_size, channels).
        """
        return self.standardized(self.augmented(image, seed))

    def augmented(self, image: "tf.Tensor", seed: "tf.Tensor") -> "tf.Tensor":
        """``training`` before standardization: values in [0, 255], uint8 or float32."""
        import tensorflow as tf

        from srm_keras.data import tf_images

        image = tf_images.with_channels(image, self.channels)
        if self.crop_scale is not None:
            bounds = self._window(tf.shape(image)[:2], seed)
            return self._of_window(tf_images.window(image, bounds), seed)
        image = self.resized(image)
        draws = tf.random.stateless_uniform((3,), seed, alg="philox")
        image = tf_images.random_crop(image, self.image_size, self.pad, draws[:2])
        return tf_images.mirrored(image, draws[2]) if self.flip else image

    def resized(self, images: "tf.Tensor") -> "tf.Tensor":
        """Images (…, H, W, C) with the shorter side ``resize``, float32; without it as given."""
        from srm_keras.data import tf_images

        return tf_images.shorter_side(images, self.resize, self.interpolation)

    def augmented_file(self, content: "tf.Tensor", seed: "tf.Tensor") -> "tf.Tensor":
        """``augmented`` of an encoded file; with ``crop_scale`` only the window is decoded.

        Args:
            content: Scalar string, the file.
            seed: (2,) integers.

        Returns:
            (image_size, image_size, 3), values in [0, 255], uint8 or float32.
        """
        from srm_keras.data import tf_images
        from srm_keras.data.decode import decode

        if self.crop_scale is None:
            return self.augmented(decode(content), seed)
        image = tf_images.file_window(content, lambda sides: self._window(sides, seed))
        return self._of_window(tf_images.with_channels(image, self.channels), seed)

    def standardized(self, images: "tf.Tensor") -> "tf.Tensor":
        """``(images / 255 - mean) / std``, float32."""
        from srm_keras.data import tf_images

        return tf_images.scaled(images, *self.scale_and_offset())

    def scale_and_offset(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Standardization as ``value * scale + offset``; one number of each, or one a channel."""
        count = max(len(self.mean), len(self.std))
        means, stds = (values * (count // len(values)) for values in (self.mean, self.std))
        offset = tuple(-mean / std for mean, std in zip(means, stds, strict=True))
        return tuple(1 / (255 * std) for std in stds), offset

    def to_dict(self) -> dict[str, Any]:
        """The attributes, as JSON can hold them."""
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in asdict(self).items()
        }

    @classmethod
    def from_dict(cls, attributes: Mapping[str, Any]) -> "Preprocessing":
        """The inverse of ``to_dict``; raises ``ValueError`` for an unknown or missing attribute."""
        known = [field.name for field in fields(cls)]
        unknown = [name for name in attributes if name not in known]
        if unknown:
            raise ValueError(
                f"`Preprocessing` has no attribute {unknown[0]!r}{nearest(unknown[0], known)}; "
                f"its attributes are {', '.join(known)}. Received: {dict(attributes)}"
            )
        if "image_size" not in attributes:
            raise ValueError(f"`image_size` is required. Received: {dict(attributes)}")
        return cls(**attributes)

    def _window(self, sides: "tf.Tensor", seed: "tf.Tensor") -> "tf.Tensor":
        import tensorflow as tf

        from srm_keras.data import tf_images

        assert self.crop_scale is not None
        of_window = tf.random.experimental.stateless_fold_in(seed, 1)
        return tf_images.inception_window(sides, self.crop_scale, self.crop_ratio, of_window)

    def _of_window(self, image: "tf.Tensor", seed: "tf.Tensor") -> "tf.Tensor":
        import tensorflow as tf

        from srm_keras.data import tf_images

        image = tf_images.resized(image, self.image_size, self.interpolation)
        if not self.flip:
            return image
        return tf_images.mirrored(image, tf.random.stateless_uniform((), seed, alg="philox"))


def _channel_values(name: str, values: Any, channels: int) -> tuple[float, ...]:
    """A tuple of floats: one, or as many as there are channels."""
    several = isinstance(values, Sequence | np.ndarray) and np.ndim(values) > 0
    numbers = [as_float(value) for value in (values if several else (values,))]
    finite = [number for number in numbers if number is not None and math.isfinite(number)]
    if len(finite) < len(numbers) or len(numbers) not in (1, channels):
        raise ValueError(
            f"`{name}` must be one number or one for each of the {channels} channels. "
            f"Received: {name}={values!r}"
        )
    return tuple(finite)


def _bounds(name: str, values: Any) -> tuple[float, float]:
    """Two positive finite numbers in ascending order."""
    pair = isinstance(values, Sequence | np.ndarray) and len(values) == 2
    numbers = [as_float(value) for value in (values if pair else ())]
    bounds = [number for number in numbers if number is not None and 0 < number < math.inf]
    if len(bounds) != 2 or bounds[0] > bounds[1]:
        raise ValueError(
            f"`{name}` must be two positive numbers, the smaller first. Received: {name}={values!r}"
        )
    return bounds[0], bounds[1]


def _crop_scale(values: Any, pad: int) -> tuple[float, float]:
    scale = _bounds("crop_scale", values)
    if scale[1] > 1:
        raise ValueError(f"`crop_scale` must be at most 1. Received: crop_scale={values!r}")
    if pad:
        raise ValueError(f"`pad` must be 0 with `crop_scale`. Received: pad={pad}")
    return scale
