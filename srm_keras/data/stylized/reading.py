"""Images of a split and of files, each of which may be unreadable."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from srm_keras.data.examples import Examples
from srm_keras.data.image_folder.decode import pixels
from srm_keras.data.records import Records


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
    """Reads images of a split, grey ones as RGB, in the threads of `pool`."""
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
