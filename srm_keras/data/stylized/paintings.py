"""The paintings, and which of them an image gets."""

import hashlib
import itertools
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from srm_keras.data import checks
from srm_keras.data.image_folder import decode
from srm_keras.data.image_folder.files import KINDS, images_below
from srm_keras.validation import positive_int


class Paintings:
    """The image files in a folder and below it, of which each image gets one at random.

    Which one is a hash of the seed and the image's name, and nothing else. A painting that cannot
    be read is left out when it is first met, and its images get another one each, again by a hash.

    Args:
        folder: With at least one image file; see `srm_keras.data.image_folder.files`.
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

    def digest(self) -> str:
        """A hash of the paintings' names and sizes in bytes."""
        listed = [(name, (self.folder / name).stat().st_size) for name in self.names]
        return hashlib.sha256(repr(listed).encode(errors="surrogateescape")).hexdigest()

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
