"""Data sources as `tf.data`, and how their images are made ready for a network.

`load(name, split, ...)` gives unbatched uint8 images with their labels; `batches` makes float32
batches of them as a `Preprocessing` says.
"""

from srm_keras.data import fashion_mnist, image_folder, texture_shapes
from srm_keras.data.info import DatasetInfo
from srm_keras.data.pipeline import batches
from srm_keras.data.preprocessing import Preprocessing
from srm_keras.data.registry import SOURCES, load

__all__ = [
    "SOURCES",
    "DatasetInfo",
    "Preprocessing",
    "batches",
    "fashion_mnist",
    "image_folder",
    "load",
    "texture_shapes",
]
