"""An image folder as a `tf.data.Dataset`."""

import os
from pathlib import Path

import numpy as np
import tensorflow as tf
from absl import logging

from srm_keras.data.checks import fraction, seed_in_range
from srm_keras.data.image_folder.decode import Verdict, decode, verify
from srm_keras.data.image_folder.layout import ImageList, list_images, refuse_lost_classes
from srm_keras.data.info import DatasetInfo
from srm_keras.validation import one_of

_NAMED = 20  # corrupt files that a message lists


def load(
    split: str,
    *,
    data_dir: str | os.PathLike,
    on_error: str = "raise",
    test_fraction: float | None = None,
    seed: int = 0,
) -> tuple[tf.data.Dataset, DatasetInfo]:
    """Reads class folders of JPEG and PNG files.

    If `data_dir` has a folder `train` with folders in it, its folders are the splits and theirs
    are the classes. Otherwise its folders are the classes, and the splits are `"train"` and
    `"test"`. The images of a class may lie in folders below it. Other files, and names that begin
    with a dot, are ignored.

    All files are decoded once before this returns (and not again for the same files later in the
    process), so that a bad one is found now and not in the middle of an epoch.

    Images keep their size and come as RGB: see `srm_keras.data.image_folder.decode.decode` for
    grey, palette, alpha, CMYK and 16-bit files and for EXIF. The order is a fixed random one.

    Args:
        split: Name of the split.
        data_dir: The data set's folder.
        on_error: What a file that cannot be decoded leads to: `"raise"`, an error that names all
            of them, or `"skip"`, a warning that names them, and a data set without them.
        test_fraction: Part of each class that is the test split where there are no split folders,
            between 0 and 1; 0.2 by default.
        seed: Integer in [0, 2**63): of the order, and of that fraction.

    Returns:
        The data set of (uint8 image (H, W, 3), int32 label) and its `DatasetInfo`. H and W are
        static where all images have the same.

    Raises:
        ValueError: If an argument is wrong; `data_dir` does not exist or holds no image; a class
            folder is empty, or all its files are corrupt; a split has a class that `train` has
            not; or files are corrupt and `on_error="raise"`.
    """
    one_of("on_error", on_error, ("raise", "skip"))
    seed_in_range(seed)
    if test_fraction is not None and fraction("test_fraction", test_fraction) in (0, 1):
        raise ValueError(
            f"`test_fraction` must lie between 0 and 1. Received: test_fraction={test_fraction}"
        )
    listed = list_images(data_dir, split, test_fraction, seed)
    images, size = _verified(listed, on_error, f"The split {split!r} of {data_dir}")
    info = DatasetInfo(
        "image_folder",
        split,
        len(images.paths),
        len(images.class_names),
        images.class_names,
        (*size, 3),
    )
    return _dataset(images, size), info


def _verified(
    listed: ImageList, on_error: str, where: str
) -> tuple[ImageList, tuple[int | None, int | None]]:
    """The files that can be decoded, and their common height and width, or two Nones."""
    verdicts = dict(zip(listed.paths, verify(listed.paths), strict=True))
    corrupt = {path: verdict for path, verdict in verdicts.items() if verdict.size is None}
    if corrupt and on_error == "raise":
        raise ValueError(
            f"{where} has {_description(corrupt)}\n"
            "Remove them, or leave them out with on_error='skip'."
        )
    if corrupt:
        logging.warning("%s is used without %s", where, _description(corrupt))
    images = listed.without(corrupt)
    refuse_lost_classes(images, listed, where)
    sizes = {verdict.size for verdict in verdicts.values() if verdict.size is not None}
    return images, sizes.pop() if len(sizes) == 1 else (None, None)


def _description(corrupt: dict[Path, Verdict]) -> str:
    ordered = sorted(corrupt.items())
    lines = [f"  {path}: {verdict.error}" for path, verdict in ordered[:_NAMED]]
    if len(ordered) > _NAMED:
        lines.append(f"  … and {len(ordered) - _NAMED} more")
    noun = "file that cannot be decoded" if len(ordered) == 1 else "files that cannot be decoded"
    return "\n".join([f"{len(ordered)} {noun}:", *lines])


def _dataset(images: ImageList, size: tuple[int | None, int | None]) -> tf.data.Dataset:
    def read(path: tf.Tensor, label: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return tf.ensure_shape(decode(tf.io.read_file(path)), (*size, 3)), label

    pairs = ([os.fsencode(path) for path in images.paths], np.array(images.labels, "int32"))
    files = tf.data.Dataset.from_tensor_slices(pairs)
    return files.map(read, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
