"""``load_examples(name, split, ...)`` and ``load``: every data source under one name."""

import contextlib
import contextvars
import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from srm_keras.data import texture_shapes
from srm_keras.data.examples import DatasetInfo, Examples
from srm_keras.data.sources import (
    cifar,
    coco,
    dtd,
    fashion_mnist,
    image_folder,
    imagenet,
    noise,
    npz,
    office_home,
    stylized_imagenet,
)
from srm_keras.data.sources.image_folder.layout import split_names
from srm_keras.data.sources.prepared import Records
from srm_keras.data.texture_shapes.generator import LABEL_SPLITS
from srm_keras.support.validation import known_options, one_of

if TYPE_CHECKING:
    import tensorflow as tf


SOURCES: dict[str, Callable[..., Examples | Records]] = {
    "cifar10": cifar.load_cifar10,
    "cifar100": cifar.load_cifar100,
    "coco": coco.load_examples,
    "dtd": dtd.load_examples,
    "fashion_mnist": fashion_mnist.load_examples,
    "image_files": image_folder.load_unlabelled,
    "image_folder": image_folder.load_examples,
    "imagenet": imagenet.load_examples,
    "made_up": noise.load_examples,
    "npz": npz.load_examples,
    "office_home": office_home.load_examples,
    "stylized_imagenet": stylized_imagenet.load_examples,
    "texture_shapes": texture_shapes.load_examples,
}
"""Each source's loader; its keyword-only arguments are the source's options."""

SPLITS: dict[str, tuple[str, ...]] = {
    "cifar10": ("train", "test"),
    "cifar100": ("train", "test"),
    "coco": ("train", "val"),
    "dtd": ("train", "val", "test", "trainval", "all"),
    "fashion_mnist": ("train", "test"),
    "image_files": ("train", "test", "all"),
    "imagenet": ("train", "val"),
    "npz": ("train", "test"),
    "office_home": ("all",),
    "stylized_imagenet": ("train", "val", "imagenet_val"),
}
"""The splits of sources that have the same ones whatever their options are."""


def load(name: str, split: str, **options: Any) -> "tuple[tf.data.Dataset, DatasetInfo]":
    """Loads a split of a data set as a ``tf.data.Dataset``.

    Args:
        name: One of ``SOURCES``, for instance ``"texture_shapes"`` or ``"image_folder"``.
        split: Name of the split, for instance ``"train"`` or ``"test"``.
        **options: The source's own: the keyword arguments of its ``load_examples``, for instance
            ``srm_keras.data.texture_shapes.load_examples``. A source takes the same options for
            each of its splits.

    Returns:
        A ``tf.data.Dataset`` of unbatched (uint8 image (H, W, C), int32 label), in a fixed order,
        which TensorFlow can read by position, and its ``DatasetInfo``.

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
        name: As for ``load``.
        split: As for ``load``.
        **options: As for ``load``.

    Returns:
        The split's ``Examples``; of ImageNet in TFDS's format, ``Records``, which have the same
        attributes and methods but for ``images``.

    Raises:
        ValueError: As ``load``.
    """
    loaded, key = _LOADED.get(), (name, split, repr(sorted(options.items())))
    if loaded is not None and key in loaded:
        return loaded[key]
    source = SOURCES[one_of("name", name, SOURCES)]
    _check_options(name, source, options)
    examples = source(split, **options)
    if loaded is not None:
        loaded[key] = examples
    return examples


_Loaded = dict[tuple[str, str, str], Examples | Records]
_LOADED: contextvars.ContextVar[_Loaded | None] = contextvars.ContextVar("loaded", default=None)


@contextlib.contextmanager
def loading_once() -> Iterator[None]:
    """A context in which ``load_examples`` loads a split once, however often it is asked for.

    So are its labels read once, which of records takes a pass through all of them. What is loaded
    is not to be changed.
    """
    token = _LOADED.set({})
    try:
        yield
    finally:
        _LOADED.reset(token)


def check_source(name: str, splits: Iterable[str], options: Mapping[str, Any]) -> None:
    """Checks what can be known of a source before anything is read or drawn.

    Args:
        name: As for ``load``.
        splits: Those that are to be loaded.
        options: As for ``load``.

    Raises:
        ValueError: If the source, an option's name or a split is wrong, or an option is missing.
    """
    source = SOURCES[one_of("name", name, SOURCES)]
    given = {option: value for option, value in options.items() if value is not None}
    _check_options(name, source, {**dict.fromkeys(options.keys() - _options_of(source)), **given})
    known = _splits(name, options)
    for split in splits if known else ():
        one_of("split", split, known)


def missing_options(name: str, options: Mapping[str, Any], error: Exception) -> list[str]:
    """The options of a source that have no value and that an error of it speaks of."""
    names = _options_of(SOURCES[name]) if name in SOURCES else {}
    return [n for n in names if options.get(n) is None and f"`{n}`" in str(error)]


def _splits(name: str, options: Mapping[str, Any]) -> Sequence[str]:
    """All splits of a source, none where it takes any name."""
    if name == "image_folder":
        return split_names(options["data_dir"])
    if name == "texture_shapes":
        return LABEL_SPLITS[one_of("label", options.get("label", "shape"), LABEL_SPLITS)]
    return SPLITS.get(name, ())


def _check_options(name: str, source: Callable, options: Mapping[str, Any]) -> None:
    known = _options_of(source)
    known_options(repr(name), options, known)
    for option, parameter in known.items():
        if parameter.default is inspect.Parameter.empty and option not in options:
            raise ValueError(f"{name!r} needs the option `{option}`. Received: {dict(options)}")


def _options_of(source: Callable) -> dict[str, inspect.Parameter]:
    parameters = inspect.signature(source).parameters
    return {n: p for n, p in parameters.items() if p.kind is inspect.Parameter.KEYWORD_ONLY}
