"""Which painting an image gets, and an AdaIN stylizer that paints batches of images."""

import hashlib
import itertools
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import ops
from PIL import Image

from srm_keras.data import checks, decode
from srm_keras.data.decode import pixels
from srm_keras.data.examples import Examples
from srm_keras.data.sources.image_folder.layout import KINDS, images_below
from srm_keras.data.sources.prepared import Records
from srm_keras.models.adain import halves
from srm_keras.support.validation import positive_int


class Paintings:
    """The image files in a folder and below it, of which each image gets one at random.

    Which one is a hash of the seed and the image's name, and nothing else. A painting that cannot
    be read is left out when it is first met, and its images get another one each, again by a hash.

    Args:
        folder: With at least one image file; see ``images_below``.
        size: The shorter side in pixels to which paintings are brought.
        seed: Integer in [0, 2**63).

    Attributes:
        names: Paths of the paintings below the folder, sorted.
        unreadable: Those that could not be read, and why.

    Raises:
        ValueError: If an argument is wrong or the folder holds no painting.
    """

    def __init__(self, folder: str | os.PathLike, size: int = 256, seed: int = 0) -> None:
        self.folder = checks.path("paintings", folder)
        self.size = positive_int("painting_size", size)
        self.seed = checks.seed_in_range(seed)
        self.names = _names(self.folder)
        self.unreadable: dict[str, str] = {}

    def candidates(self, image: str) -> Iterator[str]:
        """The paintings for an image, best first, without those known to be unreadable.

        Raises:
            ValueError: When all paintings are found to be unreadable.
        """
        for attempt in itertools.count():
            if len(self.unreadable) == len(self.names):
                raise ValueError(
                    f"`paintings` must hold a painting that can be read. Received: {self.folder}, "
                    f"{len(self.names)} files, the first {self.names[0]}: "
                    f"{self.unreadable[self.names[0]]}"
                )
            name = self.names[self._draw(image, attempt)]
            if name not in self.unreadable:
                yield name

    def read(self, name: str) -> np.ndarray | None:
        """Pixels of a painting, uint8 (H, W, 3) with min(H, W) = size, or None if unreadable."""
        try:
            pixels = decode.pixels((self.folder / name).read_bytes())
        except (OSError, ValueError) as error:
            self.unreadable[name] = getattr(error, "strerror", None) or str(error)
            return None
        height, width, _ = pixels.shape
        scale = self.size / min(height, width)
        sides = (max(self.size, round(width * scale)), max(self.size, round(height * scale)))
        return np.asarray(Image.fromarray(pixels).resize(sides, Image.Resampling.LANCZOS))

    def parameters(self) -> dict[str, Any]:
        """What the choice of paintings depends on; a hash stands for their names and sizes."""
        listed = [(name, (self.folder / name).stat().st_size) for name in self.names]
        digest = hashlib.sha256(repr(listed).encode(errors="surrogateescape")).hexdigest()
        paintings = {"count": len(self.names), "sha256": digest}
        return {"seed": self.seed, "paintings": paintings, "painting_size": self.size}

    def _draw(self, image: str, attempt: int) -> int:
        text = f"{self.seed}/{attempt}/{image}".encode(errors="surrogateescape")
        number = int.from_bytes(hashlib.blake2b(text, digest_size=16).digest(), "big")
        return number % len(self.names)


def _names(folder: Path) -> tuple[str, ...]:
    if not folder.is_dir():
        raise ValueError(
            f"`paintings` must be a folder that exists. Received: paintings={str(folder)!r}"
        )
    names = tuple(path.relative_to(folder).as_posix() for path in images_below(folder))
    if not names:
        raise ValueError(
            f"`paintings` must hold {KINDS} files, and none was found. "
            f"Received: paintings={str(folder)!r}"
        )
    return tuple(sorted(names))


class Painter:
    """Paints images in the styles of paintings.

    A style is a mean and a standard deviation for every channel of the encoder's last feature map.
    The painter keeps them for every painting that it has seen: 4 kB each for relu4_1. The network
    is given them as a feature map of two pixels, μ − σ and μ + σ, which has these statistics.

    Args:
        stylizer: An ``AdaINStylizer``.
        paintings: To paint after.
        alpha: The strength of the style, in [0, 1].

    Raises:
        ValueError: If ``stylizer`` is no AdaIN stylizer.
    """

    def __init__(self, stylizer: keras.Model, paintings: Paintings, alpha: float) -> None:
        self._encode, self._paint = halves(stylizer)
        self.paintings = paintings
        self._alpha = alpha
        self._styles: dict[str, np.ndarray] = {}

    def painting_for(self, image: str) -> str:
        """The painting that the image of this name gets: the first candidate that can be read.

        Raises:
            ValueError: If no painting can be read.
        """
        return next(name for name in self.paintings.candidates(image) if self._has_style(name))

    def paint(self, images: np.ndarray, paintings: list[str]) -> np.ndarray:
        """Paints N images of one size.

        Args:
            images: uint8 (N, H, W, 3).
            paintings: For each image what ``painting_for`` says.

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
            pixels = self.paintings.read(name)
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


@dataclass(frozen=True)
class ReadImage:
    """What came of reading an image.

    Attributes:
        pixels: uint8 (H, W, 3), or None.
        label: Its class.
        error: Why it could not be read, else an empty string.
    """

    pixels: np.ndarray | None
    label: int
    error: str = ""


def read_images(
    examples: Examples | Records, positions: Sequence[int], pool: ThreadPoolExecutor
) -> list[ReadImage]:
    """Reads images of a split, grey ones as RGB, in the threads of ``pool``."""
    if isinstance(examples, Records):
        pairs = examples.subset(positions).encoded().as_numpy_iterator()
        contents, labels = zip(*pairs, strict=True)
        return list(pool.map(_from_bytes, contents, labels))
    read = _from_array if examples.in_memory else _from_file
    images = [examples.images[position] for position in positions]
    return list(pool.map(read, images, examples.labels[list(positions)].tolist()))


def _from_array(image: np.ndarray, label: int) -> ReadImage:
    return ReadImage(np.repeat(image, 3, axis=-1) if image.shape[-1] == 1 else image, label)


def _from_file(path: Path, label: int) -> ReadImage:
    try:
        return _from_bytes(path.read_bytes(), label)
    except OSError as error:
        return ReadImage(None, label, error.strerror or str(error))


def _from_bytes(content: bytes, label: int) -> ReadImage:
    try:
        return ReadImage(pixels(content), int(label))
    except ValueError as error:
        return ReadImage(None, int(label), str(error))
