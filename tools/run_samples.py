"""Evaluation images of a training run, for the tools that execute its network."""

from dataclasses import dataclass

import numpy as np

from srm_keras.data import Examples
from srm_keras.training import Run, training_examples, validation_examples


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


def evaluation_samples(run: Run, count: int) -> Samples:
    """Return ``count`` examples from all over the split, or all if there are fewer."""
    split, examples = validation_examples(run.recipe)
    return _samples(run, split, examples, count)


def representative_inputs(run: Run, count: int) -> np.ndarray:
    """Return ``count`` prepared images from all over what the run was trained on.

    They are prepared as for evaluation, float32 (N, image_size, image_size, channels).
    """
    return _samples(run, "train", training_examples(run.recipe), count).inputs


def _samples(run: Run, split: str, examples: Examples, count: int) -> Samples:
    """Examples at even distances: sources list their images class by class."""
    count = min(count, len(examples))
    chosen = examples.subset([k * len(examples) // count for k in range(count)])
    pairs = list(chosen.dataset().as_numpy_iterator())
    images = [image for image, _ in pairs]
    inputs = np.stack([run.preprocessing.evaluation(image).numpy() for image in images])
    return Samples(split, images, inputs, np.array([label for _, label in pairs]))
