"""From decoded images to what the network reads."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

import tensorflow as tf

from srm_keras.validation import boolean, nearest, one_of, positive_int


@dataclass(frozen=True)
class Preprocessing:
    """How images are made ready for a network, in evaluation and in training.

    Evaluation is deterministic: the shorter side is resized to `resize`, the middle
    `image_size` × `image_size` is cut out, values are scaled to [0, 1] and standardized,
    `(value / 255 - mean) / std`. An image that is smaller than `image_size` gets a black margin.

    Training takes the crop at random instead, after `pad` black pixels on every side ("pad 4
    zeros, random crop 32": Lee et al. 2019, section 4.1), and with `flip` mirrors every other
    image left to right. Without `resize`, `pad` and `flip` it equals evaluation where images have
    `image_size` already.

    Attributes:
        image_size: Side of the square that the network reads, in pixels.
        channels: Number of channels, 1 or 3. Grey images become 3 equal channels; colour images
            are refused where 1 is asked for.
        resize: Side in pixels to which the shorter side is resized first (bilinear with
            antialiasing; the longer side is rounded down), or None. At least `image_size`.
        mean: Subtracted from values in [0, 1]; one number, or one for each channel.
        std: Divides after that; positive; one number, or one for each channel.
        pad: Training only: black pixels added on every side before the random crop.
        flip: Training only: mirror with probability 1/2.

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

    def __post_init__(self) -> None:
        positive_int("image_size", self.image_size)
        one_of("channels", self.channels, (1, 3))
        if self.resize is not None and positive_int("resize", self.resize) < self.image_size:
            raise ValueError(
                f"`resize` must be at least image_size={self.image_size}. "
                f"Received: resize={self.resize}"
            )
        if isinstance(self.pad, bool) or not isinstance(self.pad, int) or self.pad < 0:
            raise ValueError(f"`pad` must be an integer of at least 0. Received: pad={self.pad!r}")
        boolean("flip", self.flip)
        for name in ("mean", "std"):
            values = _channel_values(name, getattr(self, name), self.channels)
            object.__setattr__(self, name, values)
        if min(self.std) <= 0:
            raise ValueError(f"`std` must be positive. Received: std={self.std}")

    def evaluation(self, images: tf.Tensor) -> tf.Tensor:
        """What the network reads at test time; made of TensorFlow ops alone, to be exported.

        Args:
            images: uint8 (H, W, C) or (N, H, W, C); H and W may be unknown.

        Returns:
            float32 (image_size, image_size, channels), with N in front if there was one.
        """
        images = self._resized(self._with_channels(images))
        images = tf.image.resize_with_crop_or_pad(images, self.image_size, self.image_size)
        return self._standardized(images)

    def training(self, image: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """What the network reads in training; a pure function of the image and the seed.

        Args:
            image: uint8 (H, W, C).
            seed: (2,) integers.

        Returns:
            float32 (image_size, image_size, channels).
        """
        image = self._margin(self._resized(self._with_channels(image)))
        draws = tf.random.stateless_uniform((3,), seed, alg="philox")
        size = self.image_size
        room = tf.cast(tf.shape(image)[:2] - size, tf.float32)
        corner = tf.cast(tf.floor(draws[:2] * (room + 1)), tf.int32)
        image = tf.slice(image, tf.pad(corner, [[0, 1]]), (size, size, self.channels))
        if self.flip:
            image = tf.cond(draws[2] < 0.5, lambda: image[:, ::-1], lambda: image)
        return self._standardized(tf.ensure_shape(image, (size, size, self.channels)))

    def to_dict(self) -> dict[str, Any]:
        """The attributes, as JSON can hold them."""
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in asdict(self).items()
        }

    @classmethod
    def from_dict(cls, attributes: Mapping[str, Any]) -> "Preprocessing":
        """The inverse of `to_dict`; raises `ValueError` for an unknown or missing attribute."""
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

    def _with_channels(self, images: tf.Tensor) -> tf.Tensor:
        images = tf.convert_to_tensor(images)
        channels = images.shape[-1]
        if channels == 1 and self.channels == 3:
            return tf.image.grayscale_to_rgb(images)
        if channels != self.channels:
            raise ValueError(
                f"`channels` must be that of the images, {channels}"
                f"{', or 3' if channels == 1 else ''}. Received: channels={self.channels}"
            )
        return images

    def _resized(self, images: tf.Tensor) -> tf.Tensor:
        """Values stay in [0, 255]; float32 if resized, else as they came."""
        if self.resize is None:
            return images
        sides = tf.shape(images)[-3:-1]
        target = sides * self.resize // tf.reduce_min(sides)
        return tf.image.resize(images, target, antialias=True)

    def _margin(self, image: tf.Tensor) -> tf.Tensor:
        """`pad` black pixels on every side, and as many more as a crop of `image_size` needs."""
        sides = tf.shape(image)[:2] + 2 * self.pad
        height, width = tf.unstack(tf.maximum(sides, self.image_size))
        return tf.image.resize_with_crop_or_pad(image, height, width)

    def _standardized(self, images: tf.Tensor) -> tf.Tensor:
        return (tf.cast(images, tf.float32) / 255 - self.mean) / self.std


def _channel_values(name: str, values: Any, channels: int) -> tuple[float, ...]:
    """A tuple of floats: one, or as many as there are channels."""
    if isinstance(values, int | float) and not isinstance(values, bool):
        values = (values,)
    numbers = isinstance(values, Sequence) and all(
        isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        for value in values
    )
    if not numbers or len(values) not in (1, channels):
        raise ValueError(
            f"`{name}` must be one number or one for each of the {channels} channels. "
            f"Received: {name}={values!r}"
        )
    return tuple(float(value) for value in values)
