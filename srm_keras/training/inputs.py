"""The data of a run: what the recipe's `data` fields and batch sizes name."""

from dataclasses import dataclass
from typing import Any

import keras
from ml_collections import config_dict

from srm_keras import data
from srm_keras.training.array_inputs import ArraySequence
from srm_keras.training.recipe import naming

HELD_OUT = "held_out"
"""The name under which the held-out fold is evaluated."""


@dataclass(frozen=True)
class Inputs:
    """What a run trains on and is evaluated on.

    Attributes:
        recipe: The resolved recipe.
        examples: The training examples.
        evals: For each evaluated split, its examples; the first is the one for validation.
        preprocessing: How images are made ready.
        augmentation: What training does to them beyond that.
    """

    recipe: config_dict.ConfigDict
    examples: data.Examples
    evals: dict[str, data.Examples]
    preprocessing: data.Preprocessing
    augmentation: data.Augmentation

    @property
    def info(self) -> data.DatasetInfo:
        """What is known about the training examples."""
        return self.examples.info

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(height, width, channels) of the batches."""
        size = self.preprocessing.image_size
        return (size, size, self.preprocessing.channels)

    @property
    def one_hot(self) -> bool:
        """Whether labels are (B, classes) probabilities instead of (B,) class numbers."""
        return self.augmentation.mixes or self.recipe.label_smoothing > 0

    @property
    def validation(self) -> str:
        """The split that is evaluated during training."""
        return next(iter(self.evals))

    def train(self, start_step: int = 0, shard: tuple[int, int] = (0, 1)) -> Any:
        """Endless batches of (float32 images (B, H, W, C), labels), from `start_step` on.

        Which they are depends on the recipe's seed and the batch's number alone.

        Args:
            start_step: The number of the first batch.
            shard: (i, n): part i of n of every batch.
        """
        options = {
            "augmentation": self.augmentation,
            "num_classes": self.info.num_classes,
            "start_step": start_step,
        }
        size = self.recipe.batch_size
        if _as_arrays(self.examples):
            batches = data.ArrayBatches(
                self.examples, self.preprocessing, size, True, self.recipe.seed, **options
            )
            return ArraySequence(batches, self._classes_to_expand(self.augmentation.mixes))
        stream = data.batches(
            self.examples,
            self.preprocessing,
            size,
            training=True,
            seed=self.recipe.seed,
            cache=self.recipe.data.cache,
            shard=shard,
            **options,
        )
        return self._expanded(stream, self.augmentation.mixes)

    def evaluation(self, split: str) -> Any:
        """The batches of a split, once through and in order."""
        examples, size = self.evals[split], self.recipe.eval_batch_size
        if _as_arrays(examples):
            batches = data.ArrayBatches(examples, self.preprocessing, size, training=False)
            return ArraySequence(list(batches), self._classes_to_expand(False))
        stream = data.batches(
            examples, self.preprocessing, size, training=False, cache=self.recipe.data.cache
        )
        return self._expanded(stream, False)

    def _classes_to_expand(self, already: bool) -> int | None:
        """The number of classes if labels are still to become one-hot."""
        return self.info.num_classes if self.one_hot and not already else None

    def _expanded(self, stream: Any, already: bool) -> Any:
        classes = self._classes_to_expand(already)
        if classes is None:
            return stream
        import tensorflow as tf

        return stream.map(lambda images, labels: (images, tf.one_hot(labels, classes)))


def load_inputs(recipe: config_dict.ConfigDict) -> Inputs:
    """Loads the splits that a resolved recipe names.

    Raises:
        ValueError: If the data set, a split, an option, the folds or the preprocessing is wrong,
            or if the classes of the splits differ.
    """
    with naming("data.preprocessing"):
        preprocessing = data.Preprocessing.from_dict(recipe.data.preprocessing.to_dict())
    with naming("data.augmentation"):
        augmentation = data.Augmentation.from_dict(recipe.data.augmentation.to_dict())
    examples = _load(recipe, recipe.data.train_split)
    evals = {}
    if recipe.data.folds:
        examples, evals[HELD_OUT] = _fold(recipe, examples)
    for split in recipe.data.eval_splits:
        evals[split] = _load(recipe, split)
        _check_classes(examples.info, evals[split].info)
    _check_batch_size(recipe, examples)
    return Inputs(recipe, examples, evals, preprocessing, augmentation)


def _load(recipe: config_dict.ConfigDict, split: str) -> data.Examples:
    with naming("data"):
        return data.load_examples(recipe.data.name, split, **recipe.data.options)


def _fold(
    recipe: config_dict.ConfigDict, examples: data.Examples
) -> tuple[data.Examples, data.Examples]:
    """What the recipe's fold trains on, and what it holds out."""
    options = recipe.data
    with naming("data.folds"):
        folds = data.k_folds(examples, options.folds, options.fold_by, options.fold_seed)
    train, held_out = folds[options.fold]
    return examples.subset(train), examples.subset(held_out)


def _as_arrays(examples: data.Examples) -> bool:
    """Whether batches are made without TensorFlow: on other backends, of images in memory."""
    return keras.config.backend() != "tensorflow" and examples.in_memory


def _check_classes(train: data.DatasetInfo, evaluated: data.DatasetInfo) -> None:
    if train.class_names != evaluated.class_names:
        raise ValueError(
            f"`data.eval_splits` must have the classes of {train.split!r}, {train.class_names}. "
            f"Received: {evaluated.split!r} with {evaluated.class_names}"
        )


def _check_batch_size(recipe: config_dict.ConfigDict, examples: data.Examples) -> None:
    if recipe.batch_size > len(examples):
        raise ValueError(
            f"`batch_size` must be at most the number of training examples, {len(examples)}. "
            f"Received: batch_size={recipe.batch_size}"
        )
