"""Data sources, and how their images are made ready for a network.

``load_examples(name, split, ...)`` gives a split whose examples are read by position;
``load(name, split, ...)`` gives it as a ``tf.data.Dataset`` of uint8 images with their labels.
``batches`` makes float32 batches of it as a ``Preprocessing`` says, and ``ArrayBatches`` does so
for images in memory without TensorFlow, which is imported only where it is needed.
"""

import importlib
from typing import TYPE_CHECKING, Any

from srm_keras.data import folds, texture_shapes
from srm_keras.data.examples import DatasetInfo, Examples
from srm_keras.data.folds import hold_out, k_folds
from srm_keras.data.registry import (
    SOURCES,
    check_source,
    load,
    load_examples,
    missing_options,
)
from srm_keras.data.sources import fashion_mnist, image_folder

if TYPE_CHECKING:
    from srm_keras.data.arrays import ArrayBatches
    from srm_keras.data.augmentation import Augmentation
    from srm_keras.data.pipeline import batches
    from srm_keras.data.preprocessing import Preprocessing
    from srm_keras.data.stylized import stylize_dataset

_LAZY = {
    "ArrayBatches": "arrays",
    "Augmentation": "augmentation",
    "Preprocessing": "preprocessing",
    "batches": "pipeline",
    "stylize_dataset": "stylized",
}
"""Names that are imported on first use, and the modules that hold them."""

__all__ = [
    "SOURCES",
    "ArrayBatches",
    "Augmentation",
    "DatasetInfo",
    "Examples",
    "Preprocessing",
    "batches",
    "check_source",
    "fashion_mnist",
    "folds",
    "hold_out",
    "image_folder",
    "k_folds",
    "load",
    "load_examples",
    "missing_options",
    "stylize_dataset",
    "texture_shapes",
]


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(importlib.import_module(f"{__name__}.{_LAZY[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
