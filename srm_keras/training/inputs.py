"""The data of a run: what the recipe's `data` fields and batch sizes name."""

from dataclasses import dataclass

import tensorflow as tf
from ml_collections import config_dict

from srm_keras import data
from srm_keras.training.recipe import naming


@dataclass(frozen=True)
class Inputs:
    """Batches to train on and to evaluate on, and what is known about them.

    Attributes:
        train: Endless batches of (float32 images (B, H, W, C), int32 labels (B,)); which they
            are depends on the recipe's seed and the batch's number alone.
        evals: For each of `data.eval_splits`, its batches, once through.
        info: The `DatasetInfo` of the training split.
        preprocessing: The `Preprocessing` that made the batches.
    """

    train: tf.data.Dataset
    evals: dict[str, tf.data.Dataset]
    info: data.DatasetInfo
    preprocessing: data.Preprocessing

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(height, width, channels) of the batches."""
        size = self.preprocessing.image_size
        return (size, size, self.preprocessing.channels)


def load_inputs(recipe: config_dict.ConfigDict) -> Inputs:
    """Loads the splits that a resolved recipe names.

    Raises:
        ValueError: If the data set, a split, an option or the preprocessing is wrong, or if the
            classes of the splits differ.
    """
    with naming("data.preprocessing"):
        preprocessing = data.Preprocessing.from_dict(recipe.data.preprocessing.to_dict())
    train, info = _load(recipe, recipe.data.train_split)
    evals = {}
    for split in recipe.data.eval_splits:
        examples, eval_info = _load(recipe, split)
        _check_classes(info, eval_info)
        evals[split] = _batches(recipe, examples, preprocessing, training=False)
    return Inputs(_batches(recipe, train, preprocessing, training=True), evals, info, preprocessing)


def _load(recipe: config_dict.ConfigDict, split: str) -> tuple[tf.data.Dataset, data.DatasetInfo]:
    with naming("data"):
        return data.load(recipe.data.name, split, **recipe.data.options)


def _batches(
    recipe: config_dict.ConfigDict,
    examples: tf.data.Dataset,
    preprocessing: data.Preprocessing,
    training: bool,
) -> tf.data.Dataset:
    size = recipe.batch_size if training else recipe.eval_batch_size
    with naming("data"):
        return data.batches(
            examples, preprocessing, size, training, recipe.seed, cache=recipe.data.cache
        )


def _check_classes(train: data.DatasetInfo, evaluated: data.DatasetInfo) -> None:
    if train.class_names != evaluated.class_names:
        raise ValueError(
            f"`data.eval_splits` must have the classes of {train.split!r}, {train.class_names}. "
            f"Received: {evaluated.split!r} with {evaluated.class_names}"
        )
