"""Images as a run's network sees them, made visible again, and images from files."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from srm_keras.data import Preprocessing
from srm_keras.data.image_folder.decode import file_pixels
from srm_keras.training import Run


def pixels(preprocessing: Preprocessing, inputs: np.ndarray) -> np.ndarray:
    """Return prepared images (N, H, W, C) as uint8: standardization undone."""
    scale, offset = (np.array(values) for values in preprocessing.scale_and_offset())
    return np.rint((inputs - offset) / scale).clip(0, 255).astype("uint8")


def file_inputs(run: Run, files: Sequence[Path]) -> np.ndarray:
    """Return image files prepared for the network of ``run``, float32 (N, H, W, C).

    Raises:
        ValueError: a file cannot be decoded.
    """
    return np.stack([_prepared(run, file) for file in files])


def _prepared(run: Run, file: Path) -> np.ndarray:
    import tensorflow as tf

    image = file_pixels(file)
    if run.preprocessing.channels == 1:
        image = tf.image.rgb_to_grayscale(image)
    return run.preprocessing.evaluation(image).numpy()
