"""Images for a command: of a run's evaluation split, and of files."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from srm_keras.data import Examples, Preprocessing
from srm_keras.data.decode import file_pixels
from srm_keras.data.sources.prepared import Records
from srm_keras.support.foreign import first_line
from srm_keras.training import Run, training_examples, validation_examples


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


@dataclass(frozen=True)
class Samples:
    """Some examples of the split that a run is validated on.

    Attributes:
        split: name of the split.
        images: the images as they came, each uint8 (H, W, C).
        inputs: the same, prepared for the network: float32 (N, image_size, image_size, channels).
        labels: (N,) integers.
    """

    split: str
    images: list[np.ndarray]
    inputs: np.ndarray
    labels: np.ndarray


def export_inputs(
    run: Run, samples: int, representative: int, files: Sequence[Path] = ()
) -> tuple[np.ndarray, np.ndarray]:
    """Return prepared images to compare outputs on, and to take the ranges of tensors from.

    Args:
        run: from whose data they are taken, unless there are ``files``.
        samples: how many to compare on.
        representative: how many for the ranges.
        files: image files, from all over which both are taken.

    Raises:
        ValueError: a file cannot be decoded, or the data of the run cannot be had.
    """
    if files:
        counts = (min(count, len(files)) for count in (samples, representative))
        chosen = ([files[k * len(files) // count] for k in range(count)] for count in counts)
        compared, ranges = (file_inputs(run, each) for each in chosen)
        return compared, ranges
    try:
        return evaluation_samples(run, samples).inputs, representative_inputs(run, representative)
    except Exception as error:  # A preset's card may say anything.
        raise ValueError(
            f"`--images` is needed: the data of the recipe cannot be had ({first_line(error)})"
        ) from error


def evaluation_samples(run: Run, count: int) -> Samples:
    """Return ``count`` examples from all over the split, or all if there are fewer.

    Raises:
        ValueError: the network does not say what data it was trained on, or it cannot be had.
    """
    if not run.recipe.data:
        raise ValueError(f"{run.model.name!r} does not say what data it was trained on")
    split, examples = validation_examples(run.recipe)
    return _samples(run, split, examples, count)


def representative_inputs(run: Run, count: int) -> np.ndarray:
    """Return ``count`` prepared images from all over what the run was trained on.

    They are prepared as for evaluation, float32 (N, image_size, image_size, channels).
    """
    return _samples(run, "train", training_examples(run.recipe), count).inputs


def _samples(run: Run, split: str, examples: Examples | Records, count: int) -> Samples:
    """Examples at even distances: sources list their images class by class."""
    count = min(count, len(examples))
    chosen = examples.subset([k * len(examples) // count for k in range(count)])
    pairs = list(chosen.dataset().as_numpy_iterator())
    images = [image for image, _ in pairs]
    inputs = np.stack([run.preprocessing.evaluation(image).numpy() for image in images])
    return Samples(split, images, inputs, np.array([label for _, label in pairs]))
