"""`load(name, split, ...)`: every data source under one name."""

import inspect
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from srm_keras.data import fashion_mnist, image_folder, texture_shapes
from srm_keras.data.info import DatasetInfo
from srm_keras.validation import nearest, one_of

SOURCES: dict[str, Callable[..., tuple[tf.data.Dataset, DatasetInfo]]] = {
    "fashion_mnist": fashion_mnist.load,
    "image_folder": image_folder.load,
    "texture_shapes": texture_shapes.load,
}
"""Each source's loader; its keyword-only arguments are the source's options."""


def load(name: str, split: str, **options: Any) -> tuple[tf.data.Dataset, DatasetInfo]:
    """Loads a split of a data set.

    Args:
        name: `"texture_shapes"`, `"image_folder"` or `"fashion_mnist"`.
        split: Name of the split, for instance `"train"` or `"test"`.
        **options: The source's own: see `srm_keras.data.texture_shapes.load`,
            `srm_keras.data.image_folder.load` and `srm_keras.data.fashion_mnist.load`. A source
            takes the same options for each of its splits.

    Returns:
        A `tf.data.Dataset` of unbatched (uint8 image (H, W, C), int32 label), in a fixed order,
        and its `DatasetInfo`.

    Raises:
        ValueError: If the name, the split, or an option or its value is wrong, or the files are
            missing or bad.

    Example:
        >>> dataset, info = load("texture_shapes", "train", label="texture", train_examples=100)
        >>> info.num_classes, info.image_shape
        (10, (32, 32, 3))
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
