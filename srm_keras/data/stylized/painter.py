"""An AdaIN stylizer that paints batches of images, and sees each painting once."""

import hashlib

import keras
import numpy as np
from keras import ops

from srm_keras.data.stylized.paintings import Paintings
from srm_keras.models.adain import halves


class Painter:
    """Paints images in the styles of paintings.

    A style is a mean and a standard deviation for every channel of the encoder's last feature map.
    The painter keeps them for every painting that it has seen: 4 kB each for relu4_1. The network
    is given them as a feature map of two pixels, μ − σ and μ + σ, which has these statistics.

    Args:
        stylizer: An `AdaINStylizer`.
        paintings: To paint after.
        alpha: The strength of the style, in [0, 1].

    Raises:
        ValueError: If `stylizer` is no AdaIN stylizer.
    """

    def __init__(self, stylizer: keras.Model, paintings: Paintings, alpha: float) -> None:
        self._encode, self._paint = halves(stylizer)
        self._paintings = paintings
        self._alpha = alpha
        self._styles: dict[str, np.ndarray] = {}

    def painting_for(self, image: str) -> str:
        """The painting that the image of this name gets: the first candidate that can be read.

        Raises:
            ValueError: If no painting can be read.
        """
        return next(name for name in self._paintings.candidates(image) if self._has_style(name))

    def paint(self, images: np.ndarray, paintings: list[str]) -> np.ndarray:
        """Paints N images of one size.

        Args:
            images: uint8 (N, H, W, 3).
            paintings: For each image what `painting_for` says.

        Returns:
            uint8 (N, H, W, 3).

        Raises:
            ValueError: If the network's output is not finite.
        """
        inputs = {
            "content": images.astype("float32"),
            "features": np.stack([self._styles[name] for name in paintings]),
            "strength": np.full(len(images), self._alpha, "float32"),
        }
        painted = ops.convert_to_numpy(self._paint(inputs, training=False))
        if not np.isfinite(painted).all():
            raise ValueError("`stylizer` must give finite pixels. Received: NaN or infinity")
        return np.rint(np.clip(painted, 0, 255)).astype("uint8")

    def _has_style(self, name: str) -> bool:
        if name not in self._styles:
            pixels = self._paintings.read(name)
            if pixels is None:
                return False
            batch = pixels[None].astype("float32")
            self._styles[name] = _two_pixels(self._encode(batch, training=False))
        return True


def weights_digest(model: keras.Model) -> str:
    """A hash of all weights of a network."""
    digest = hashlib.sha256()
    for weight in model.get_weights():
        digest.update(repr(weight.shape).encode())
        digest.update(np.ascontiguousarray(weight).tobytes())
    return digest.hexdigest()


def _two_pixels(features) -> np.ndarray:
    """A feature map (1, 2, C) with the mean and standard deviation of one that is (1, H, W, C)."""
    features = ops.convert_to_numpy(features).astype("float64")
    mean, std = features.mean((0, 1, 2)), features.std((0, 1, 2))
    return np.stack([mean - std, mean + std])[None].astype("float32")
