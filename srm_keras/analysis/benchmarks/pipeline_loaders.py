"""The loaders that the pipeline benchmark compares: each a step that loads some images once."""

import math
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from PIL import Image

from srm_keras import data
from srm_keras.data import image_ops
from srm_keras.data.image_folder.decode import DCT_METHOD

Step = Callable[[], Any]

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
SIZE = 224
_ARRAYS = np.array((MEAN, STD), "float32")
SCALE, RATIO = (0.08, 1.0), (3 / 4, 4 / 3)


def package_step(examples: data.Examples, batch_size: int, count: int) -> Step:
    """The package's own ImageNet training pipeline."""
    preprocessing = data.Preprocessing(SIZE, mean=MEAN, std=STD, flip=True, crop_scale=SCALE)
    stream = data.batches(examples, preprocessing, batch_size, training=True)
    return _drained(stream.take(count // batch_size))


def limit_step(examples: data.Examples, count: int) -> Step:
    """Reads, decodes random windows and resizes them, in a parallel map, and nothing else."""
    paths = [examples.images[k % len(examples)] for k in range(count)]
    windows = [_window(Path(path), k) for k, path in enumerate(paths)]

    def load(path: tf.Tensor, window: tf.Tensor) -> tf.Tensor:
        content = tf.io.read_file(path)
        image = tf.io.decode_and_crop_jpeg(content, window, channels=3, dct_method=DCT_METHOD)
        return tf.image.resize(image, (SIZE, SIZE), antialias=True)

    stream = tf.data.Dataset.from_tensor_slices((list(map(os.fsencode, paths)), windows))
    stream = stream.map(load, num_parallel_calls=tf.data.AUTOTUNE)
    return _drained(stream)


def keras_step(folder: Path, batch_size: int, count: int) -> Step:
    """`image_dataset_from_directory` at 256×256, then Keras' crop, flip and normalization."""
    stream = keras.utils.image_dataset_from_directory(
        folder, image_size=(256, 256), batch_size=batch_size, verbose=False
    )
    augment = keras.Sequential(
        [
            keras.layers.RandomCrop(SIZE, SIZE),
            keras.layers.RandomFlip("horizontal"),
            keras.layers.Rescaling(1 / 255),
            keras.layers.Normalization(mean=MEAN, variance=np.square(STD)),
        ]
    )
    stream = stream.map(lambda x, y: (augment(x, training=True), y), tf.data.AUTOTUNE)
    batches = math.ceil(count / batch_size)
    return _drained(stream.repeat().take(batches).prefetch(tf.data.AUTOTUNE))


def torch_step(examples: data.Examples, batch_size: int, count: int, workers: int) -> Step:
    """PyTorch's `DataLoader` with Pillow in worker processes, which live on between rounds."""
    import torch

    images: Any = PillowImages(list(examples.images), count)
    loader = torch.utils.data.DataLoader(
        images,
        batch_size,
        num_workers=workers,
        persistent_workers=True,
        multiprocessing_context="spawn",
    )

    def step() -> int:
        return sum(len(images) for images, _ in loader)

    return step


class PillowImages:
    """A map-style data set as PyTorch tutorials write it: Inception crop, flip, normalization.

    The window is that of torchvision's `RandomResizedCrop`.

    Args:
        paths: The files.
        count: Number of images in an epoch.
    """

    def __init__(self, paths: Sequence[Any], count: int) -> None:
        self.paths = [str(path) for path in paths]
        self.count = count
        self.random = np.random.default_rng()

    def __len__(self) -> int:
        """Number of images in an epoch."""
        return self.count

    def __getitem__(self, index: int) -> tuple[np.ndarray, int]:
        """A float32 image (3, 224, 224) and a label."""
        with Image.open(self.paths[index % len(self.paths)]) as file:
            image = file.convert("RGB")
        box = self._box(*image.size)
        image = image.resize((SIZE, SIZE), Image.Resampling.BILINEAR, box=box)
        if self.random.random() < 0.5:
            image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        values = (np.asarray(image, "float32") / 255 - _ARRAYS[0]) / _ARRAYS[1]
        return np.ascontiguousarray(values.transpose(2, 0, 1)), 0

    def _box(self, width: int, height: int) -> tuple[int, int, int, int]:
        for _ in range(10):
            area = width * height * self.random.uniform(*SCALE)
            ratio = math.exp(self.random.uniform(math.log(RATIO[0]), math.log(RATIO[1])))
            w, h = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
            if 0 < w <= width and 0 < h <= height:
                left = int(self.random.integers(width - w + 1))
                top = int(self.random.integers(height - h + 1))
                return left, top, left + w, top + h
        return 0, 0, width, height


def _drained(stream: tf.data.Dataset) -> Step:
    """Goes through the whole stream inside of TensorFlow."""

    def step() -> int:
        return int(stream.reduce(tf.constant(0), lambda number, *_: number + 1))

    return step


def _window(path: Path, k: int) -> np.ndarray:
    with Image.open(path) as image:
        width, height = image.size
    return image_ops.inception_window((height, width), SCALE, RATIO, (0, k)).numpy()
