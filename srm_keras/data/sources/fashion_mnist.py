"""Fashion-MNIST (Xiao, Rasul and Vollgraf 2017), from IDX files that are already there.

60,000 + 10,000 grey 28×28 photographs of clothes in ten classes, MIT licence. Debian's package
``dataset-fashion-mnist`` installs the four files.
"""

import gzip
import os
import zlib
from pathlib import Path

import numpy as np

from srm_keras.data import checks
from srm_keras.data.examples import DatasetInfo, Examples
from srm_keras.support.validation import one_of

_UNSIGNED_BYTE = 8


def read_idx(path: Path, rank: int) -> np.ndarray:
    """Reads a gzip-compressed IDX file of unsigned bytes.

    The file begins with the magic number 0, 0, 8 (unsigned bytes), rank, and one big-endian
    32-bit length for each dimension; the values follow.

    Args:
        path: The file.
        rank: Number of dimensions that it must have.

    Returns:
        A uint8 array.

    Raises:
        ValueError: If it is no complete gzip file, has another magic number, or holds another
            number of values than its lengths say.
    """
    try:
        with gzip.open(path) as file:
            content = file.read()
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise ValueError(f"{path} is not a complete gzip file: {error}") from error
    expected = bytes((0, 0, _UNSIGNED_BYTE, rank))
    if content[:4] != expected:
        raise ValueError(
            f"{path} must begin with the IDX magic number {expected.hex()}. "
            f"Received: {content[:4].hex()}"
        )
    start = 4 + 4 * rank
    if len(content) < start:
        raise ValueError(f"{path} ends inside its IDX header")
    shape = tuple(int(length) for length in np.frombuffer(content, ">u4", rank, offset=4))
    count = int(np.prod(shape, dtype="int64"))
    if len(content) - start != count:
        raise ValueError(
            f"{path} must hold {count} values after its header, for the shape {shape}. "
            f"Received: {len(content) - start}"
        )
    return np.frombuffer(content, "uint8", count, offset=start).reshape(shape)


DEBIAN_FOLDER = Path("/usr/share/datasets/fashion-mnist")
KERAS_FOLDER = Path("~/.keras/datasets/fashion-mnist")

CLASS_NAMES = (
    "t_shirt",
    "trouser",
    "pullover",
    "dress",
    "coat",
    "sandal",
    "shirt",
    "sneaker",
    "bag",
    "ankle_boot",
)

_PREFIXES = {"train": "train", "test": "t10k"}
_SIDE = 28


def load_examples(split: str, *, data_dir: str | os.PathLike | None = None) -> Examples:
    """Reads a split of Fashion-MNIST.

    Args:
        split: ``"train"`` or ``"test"``.
        data_dir: The folder that holds ``train-images-idx3-ubyte.gz``,
            ``train-labels-idx1-ubyte.gz`` and their ``t10k`` counterparts. Default: the folder of
            Debian's package, ``/usr/share/datasets/fashion-mnist``, or else the one where Keras
            keeps its download, ``~/.keras/datasets/fashion-mnist``.

    Returns:
        The ``Examples``; images (N, 28, 28, 1) are kept in memory.

    Raises:
        ValueError: If the split is unknown, or the files are missing (it says how to get them),
            damaged, or do not belong together.
    """
    one_of("split", split, _PREFIXES)
    images_path, labels_path = _paths(split, data_dir)
    images, labels = read_idx(images_path, rank=3), read_idx(labels_path, rank=1)
    _check(images, labels, images_path, labels_path)
    info = DatasetInfo(
        "fashion_mnist",
        split,
        len(images),
        len(CLASS_NAMES),
        CLASS_NAMES,
        (_SIDE, _SIDE, 1),
    )
    return Examples(images[..., np.newaxis], checks.class_numbers("`labels`", labels), info)


def _paths(split: str, data_dir: str | os.PathLike | None) -> list[Path]:
    """The split's two files in the first folder that has both."""
    if data_dir is None:
        folders = [DEBIAN_FOLDER, KERAS_FOLDER.expanduser()]
    else:
        folders = [checks.path("data_dir", data_dir)]
    prefix = _PREFIXES[split]
    names = [f"{prefix}-images-idx3-ubyte.gz", f"{prefix}-labels-idx1-ubyte.gz"]
    for folder in folders:
        paths = [folder / name for name in names]
        if all(path.is_file() for path in paths):
            return paths
    raise ValueError(
        f"Fashion-MNIST's {' and '.join(names)} must be in `data_dir`. On Debian or Ubuntu, "
        f"`apt-get install dataset-fashion-mnist` puts them into {DEBIAN_FOLDER}. "
        f"Received: data_dir={None if data_dir is None else str(data_dir)!r}; "
        f"looked in {' and '.join(map(str, folders))}"
    )


def _check(images: np.ndarray, labels: np.ndarray, images_path: Path, labels_path: Path) -> None:
    if images.shape[1:] != (_SIDE, _SIDE):
        raise ValueError(
            f"{images_path} must hold images of {_SIDE}×{_SIDE}. Received: {images.shape[1:]}"
        )
    if len(images) == 0 or len(images) != len(labels):
        raise ValueError(
            f"{images_path} and {labels_path} must hold as many images as labels, at least one. "
            f"Received: {len(images)} and {len(labels)}"
        )
    if labels.max() >= len(CLASS_NAMES):
        raise ValueError(f"{labels_path} must hold labels 0 … 9. Received: {labels.max()}")
