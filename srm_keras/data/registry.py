"""`load_examples(name, split, ...)` and `load`: every data source under one name."""

import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from srm_keras.data import (
    cifar,
    coco,
    dtd,
    fashion_mnist,
    image_files,
    image_folder,
    imagenet,
    made_up,
    npz,
    office_home,
    stylized_imagenet,
    texture_shapes,
)
from srm_keras.data.examples import Examples
from srm_keras.data.info import DatasetInfo
from srm_keras.data.records import Records
from srm_keras.validation import nearest, one_of

if TYPE_CHECKING:
    import tensorflow as tf


SOURCES: dict[str, Callable[..., Examples | Records]] = {
    "cifar10": cifar.load_cifar10,
    "cifar100": cifar.load_cifar100,
    "coco": coco.load_examples,
    "dtd": dtd.load_examples,
    "fashion_mnist": fashion_mnist.load_examples,
    "image_files": image_files.load_examples,
    "image_folder": image_folder.load_examples,
    "imagenet": imagenet.load_examples,
    "made_up": made_up.load_examples,
    "npz": npz.load_examples,
    "office_home": office_home.load_examples,
    "stylized_imagenet": stylized_imagenet.load_examples,
    "texture_shapes": texture_shapes.load_examples,
}
"""Each source's loader; its keyword-only arguments are the source's options."""


def load(name: str, split: str, **options: Any) -> "tuple[tf.data.Dataset, DatasetInfo]":
    """Loads a split of a data set as a `tf.data.Dataset`.

    Args:
        name: One of `SOURCES`, for instance `"texture_shapes"` or `"image_folder"`.
        split: Name of the split, for instance `"train"` or `"test"`.
        **options: The source's own: the keyword arguments of its `load_examples`, for instance
            `srm_keras.data.texture_shapes.load_examples`. A source takes the same options for
            each of its splits.

    Returns:
        A `tf.data.Dataset` of unbatched (uint8 image (H, W, C), int32 label), in a fixed order,
        which TensorFlow can read by position, and its `DatasetInfo`.

    Raises:
        ValueError: If the name, the split, or an option or its value is wrong, or the files are
            missing or bad.

    Example:
        >>> dataset, info = load("texture_shapes", "train", label="texture", train_examples=100)
        >>> info.num_classes, info.image_shape
        (10, (32, 32, 3))
    """
    examples = load_examples(name, split, **options)
    return examples.dataset(), examples.info


def load_examples(name: str, split: str, **options: Any) -> Examples | Records:
    """Loads a split of a data set whose examples are read by their positions.

    Needs no TensorFlow where the images are kept in memory.

    Args:
        name: As for `load`.
        split: As for `load`.
        **options: As for `load`.

    Returns:
        The split's `Examples`; of ImageNet in TFDS's format, `Records`, which have the same
        attributes and methods but for `images`.

    Raises:
        ValueError: As `load`.
    """
    source = SOURCES[one_of("name", name, SOURCES)]
    _check_options(name, source, options)
    return source(split, **options)


def _check_options(name: str, source: Callable, options: dict[str, Any]) -> None:
    parameters = [
        parameter
        for parameter in inspect.signature(source).parameters.values()
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY
    ]
    known = [parameter.name for parameter in parameters]
    for option, value in options.items():
        if option not in known:
            raise ValueError(
                f"{name!r} has no option {option!r}; its options are {', '.join(known)}. "
                f"Received: {option}={value!r}{nearest(option, known)}"
            )
    for parameter in parameters:
        if parameter.default is inspect.Parameter.empty and parameter.name not in options:
            raise ValueError(f"{name!r} needs the option `{parameter.name}`. Received: {options}")
