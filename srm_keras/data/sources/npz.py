"""Arrays of images in a NumPy file."""

import os
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from srm_keras.data import checks
from srm_keras.data.examples import DatasetInfo, Examples
from srm_keras.support.validation import class_names, one_of

_SPLITS = ("train", "test")
_MOST_CLASSES = 2**16  # of a file that does not name them: a larger label is hardly one


def load_examples(split: str, *, path: str | os.PathLike) -> Examples:
    """Reads a split from an ``.npz`` file.

    The file holds ``train_images`` and ``test_images``, uint8 (N, H, W) or (N, H, W, 1 or 3), and
    ``train_labels`` and ``test_labels``, integers (N,). It may hold ``class_names``, and strings
    (N,) called ``train_domains``, ``train_groups``, ``test_domains`` and ``test_groups``.

    Args:
        split: ``"train"`` or ``"test"``.
        path: The file, as ``numpy.savez`` writes it.

    Returns:
        The ``Examples``, in memory. Without ``class_names`` the classes are "0", "1", … up to the
        highest label of both splits.

    Raises:
        ValueError: If the split is unknown, the file is missing or no such file, an array is
            missing, or one has a wrong shape, type or length.
    """
    one_of("split", split, _SPLITS)
    path = checks.path("path", path)
    arrays = _read(path, split)
    images = arrays[f"{split}_images"]
    if images.ndim == 3:
        images = images[..., np.newaxis]
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[-1] not in (1, 3):
        raise ValueError(
            f"`{split}_images` in {path} must be uint8 (N, H, W) or (N, H, W, 1 or 3). "
            f"Received: shape {images.shape}, dtype {images.dtype}"
        )
    names = _class_names(arrays, path)
    labels = _labels(arrays, split, path, len(names))
    _, *shape = images.shape
    info = DatasetInfo("npz", split, len(images), len(names), names, (shape[0], shape[1], shape[2]))
    domains, groups = (
        checks.tags(f"`{name}` in {path}", arrays[name]) if name in arrays else None
        for name in (f"{split}_domains", f"{split}_groups")
    )
    return Examples(images, labels, info, domains, groups)


def _read(path: Path, split: str) -> dict[str, np.ndarray]:
    """The arrays of the file but for the other split's images."""
    other = "test" if split == "train" else "train"
    if not zipfile.is_zipfile(path):
        raise ValueError(f"`path` must be an .npz file that exists. Received: path={str(path)!r}")
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files if name != f"{other}_images"}
            found = set(file.files)
    except Exception as error:  # a damaged header can make it raise anything
        raise ValueError(f"{path} must be an .npz file of arrays: {error!s:.200}") from error
    needed = [f"{name}_{kind}" for name in _SPLITS for kind in ("images", "labels")]
    missing = [name for name in needed if name not in found]
    if missing:
        raise ValueError(
            f"{path} must hold {', '.join(needed)}. Received: {', '.join(sorted(found))}"
        )
    return arrays


def _labels(arrays: Mapping[str, np.ndarray], split: str, path: Path, classes: int) -> np.ndarray:
    name = f"{split}_labels"
    return checks.class_numbers(f"`{name}` in {path}", arrays[name], classes)


def _class_names(arrays: Mapping[str, np.ndarray], path: Path) -> tuple[str, ...]:
    if "class_names" in arrays:
        given = arrays["class_names"]
        numbers = given.dtype.kind in "iu"
        return class_names("class_names", (given.astype(str) if numbers else given).tolist())
    labels = np.concatenate([_labels(arrays, split, path, _MOST_CLASSES) for split in _SPLITS])
    return tuple(map(str, range(int(labels.max(initial=0)) + 1)))
