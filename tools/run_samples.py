"""Evaluation images of a training run, for the tools that execute its network."""

from dataclasses import dataclass

import numpy as np

from srm_keras import data
from srm_keras.training import Run


@dataclass(frozen=True)
class Samples:
    """Some examples of a run's first evaluation split.

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
    """Return about ``count`` examples from all over the split, or all of them if there are fewer.

    Sources list their images class by class, so the first ones would be of one class.
    """
    split = run.recipe.data.eval_splits[0]
    options = run.recipe.data.options.to_dict()
    dataset, info = data.load(run.recipe.data.name, split, **options)
    chosen = dataset.shard(max(info.num_examples // count, 1), 0).take(count)
    pairs = list(chosen.as_numpy_iterator())
    images = [image for image, _ in pairs]
    inputs = np.stack([run.preprocessing.evaluation(image).numpy() for image in images])
    return Samples(split, images, inputs, np.array([label for _, label in pairs]))
