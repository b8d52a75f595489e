"""The data of a run: what the recipe's ``data`` fields and batch sizes name."""

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
from ml_collections import config_dict

from srm_keras import data
from srm_keras.data.sources.prepared import Records
from srm_keras.models.adapted import is_adaptable
from srm_keras.models.applications import application_standardization, is_application
from srm_keras.training.fields import is_number, naming

if TYPE_CHECKING:
    import tensorflow as tf

    from srm_keras.data import ArrayBatches


class OneHotBatches(keras.utils.PyDataset):
    """``ArrayBatches`` whose labels are float32 (B, classes) instead of int32 (B,).

    Args:
        batches: The batches.
        classes: Number of classes.
    """

    def __init__(self, batches: "ArrayBatches", classes: int):
        super().__init__()
        self.batches = batches
        self.classes = classes

    @property
    def num_batches(self) -> int | None:
        """As many as there are, None where there is no end."""
        return self.batches.num_batches

    def __getitem__(self, index: int) -> tuple[Any, np.ndarray]:
        """Batch number ``index``, from the first one on."""
        return self._one_hot(*self.batches[index])

    def __iter__(self) -> Iterator[tuple[Any, np.ndarray]]:
        """The batches from the first one on."""
        return (self._one_hot(images, labels) for images, labels in self.batches)

    def _one_hot(self, images: Any, labels: np.ndarray) -> tuple[Any, np.ndarray]:
        return images, np.eye(self.classes, dtype="float32")[labels]


def one_hot_stream(stream: "tf.data.Dataset", classes: int) -> "tf.data.Dataset":
    """A stream of (images, int labels (B,)) with float32 (B, classes) labels instead."""
    import tensorflow as tf

    return stream.map(lambda images, labels: (images, tf.one_hot(labels, classes)))


Examples = data.Examples | Records
"""What can be read by position, in memory, in files or in records."""

CATEGORICAL_CROSSENTROPY, BINARY_CROSSENTROPY = "categorical_crossentropy", "binary_crossentropy"
LOSSES = (CATEGORICAL_CROSSENTROPY, BINARY_CROSSENTROPY)
"""What may be trained: that of the softmax, or one of a sigmoid for each class."""

HELD_OUT = "held_out"
"""The name under which the held-out fold is evaluated."""

VALIDATION = "validation"
"""The name under which the part of the training split is evaluated that chooses the best."""


def told_split(evaluated: Iterable[str]) -> str:
    """Of evaluated splits the first that was not held out to choose the best, if there is one."""
    names = list(evaluated)
    return next((name for name in names if name != VALIDATION), names[0])


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
    examples: Examples
    evals: dict[str, Examples]
    preprocessing: data.Preprocessing
    augmentation: data.Augmentation

    @property
    def info(self) -> data.DatasetInfo:
        """What is known about the training examples."""
        return self.examples.info

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(height, width, channels) of the batches."""
        return self.preprocessing.image_shape

    @property
    def one_hot(self) -> bool:
        """Whether labels are (B, classes) probabilities instead of (B,) class numbers."""
        binary = self.recipe.loss == BINARY_CROSSENTROPY
        return binary or self.augmentation.mixes or self.recipe.label_smoothing > 0

    @property
    def validation(self) -> str:
        """The split that is evaluated during training."""
        return next(iter(self.evals))

    @property
    def told(self) -> str:
        """The split that is told of example by example."""
        return told_split(self.evals)

    @property
    def splits(self) -> dict[str, Examples]:
        """All examples, by their splits."""
        return {**self.evals, "train": self.examples}

    def train(self, start_step: int = 0, shard: tuple[int, int] = (0, 1)) -> Any:
        """Endless batches of (float32 images (B, H, W, C), labels), from ``start_step`` on.

        Which they are depends on the recipe's seed and the batch's number alone.

        Args:
            start_step: The number of the first batch.
            shard: (i, n): part i of n of every batch.
        """
        options = {
            "augmentation": self.augmentation,
            "num_classes": self.info.num_classes,
            "start_step": start_step,
            "repeats": self.recipe.data.repeats,
        }
        return self._batches(
            self.examples, self.recipe.batch_size, True, shard, self.augmentation.mixes, **options
        )

    def evaluation(self, split: str) -> Any:
        """The batches of a split, once through and in order."""
        size = self.recipe.eval_batch_size
        return self._batches(self.evals[split], size, False, (0, 1), False)

    def _batches(
        self,
        examples: Examples,
        size: int,
        training: bool,
        shard: tuple[int, int],
        one_hot: bool,
        **options: Any,
    ) -> Any:
        """Batches; ``one_hot`` says whether they come with labels of the form that is asked for."""
        batches = stream(
            examples,
            self.preprocessing,
            size,
            training,
            self.recipe.seed,
            cache=self.recipe.data.cache,
            shard=shard,
            **options,
        )
        if not self.one_hot or one_hot:
            return batches
        expanded = OneHotBatches if isinstance(batches, data.ArrayBatches) else one_hot_stream
        return expanded(batches, self.info.num_classes)


def stream(
    examples: Examples,
    preprocessing: data.Preprocessing,
    batch_size: int,
    training: bool,
    seed: int,
    *,
    cache: bool,
    shard: tuple[int, int],
    **options: Any,
) -> Any:
    """Batches of TensorFlow's or, where it is not the backend, of arrays if that is possible.

    The arguments are those of ``srm_keras.data.batches``.
    """
    given = (preprocessing, batch_size, training, seed)
    if isinstance(examples, data.Examples) and examples.in_memory and not _on_tensorflow():
        return data.ArrayBatches(examples, *given, **options)
    return data.batches(examples, *given, cache=cache, shard=shard, **options)


def _on_tensorflow() -> bool:
    return keras.config.backend() == "tensorflow"


def check_inputs(recipe: config_dict.ConfigDict) -> data.Preprocessing:
    """Checks what a resolved recipe says of its data, before any is read or drawn.

    Returns:
        How images are made ready.

    Raises:
        ValueError: As ``load_inputs``, for what can be known without data.
    """
    preprocessing, _ = _made_ready(recipe)
    options = recipe.data
    with naming_source("data", options.name, options.options):
        splits = (options.train_split, *options.eval_splits)
        data.check_source(options.name, splits, options.options.to_dict())
    return preprocessing


def load_inputs(recipe: config_dict.ConfigDict) -> Inputs:
    """Loads the splits that a resolved recipe names.

    Raises:
        ValueError: If the data set, a split, an option, the folds or the preprocessing is wrong,
            or if the classes of the splits differ.
    """
    preprocessing, augmentation = _made_ready(recipe)
    examples, evals = _parts(recipe)
    for split in recipe.data.eval_splits:
        evals[split] = _load(recipe, split)
        _check_classes(examples.info, evals[split].info)
    _check_batch_size(recipe, examples)
    return Inputs(recipe, examples, evals, preprocessing, augmentation)


def validation_examples(recipe: config_dict.ConfigDict) -> tuple[str, Examples]:
    """Name and examples of the split that a resolved recipe is validated on."""
    if recipe.data.folds or recipe.data.get("validation_fraction"):
        return next(iter(_parts(recipe)[1].items()))
    split = recipe.data.eval_splits[0]
    return split, _load(recipe, split)


def training_examples(recipe: config_dict.ConfigDict) -> Examples:
    """The examples that a resolved recipe trains on: see ``load_inputs``."""
    return _parts(recipe)[0]


@contextlib.contextmanager
def naming_source(
    field: str, name: str, options: config_dict.ConfigDict | Mapping[str, Any]
) -> Iterator[None]:
    """``naming(field)`` for what a source raises, with the fields that it misses.

    Args:
        field: The recipe's field with the source's ``options`` in it.
        name: The source.
        options: Its options.
    """
    try:
        with naming(field):
            yield
    except ValueError as error:
        missing = data.missing_options(name, options, error)
        if not missing:
            raise
        flag, option = f"--config.{field}.options", missing[0]
        value = f".{option}=…" if option in options else f"=\"{{'{option}': …}}\""
        raise ValueError(f"{error}. Give it by {flag}{value}") from error


def _made_ready(recipe: config_dict.ConfigDict) -> tuple[data.Preprocessing, data.Augmentation]:
    with naming("data.preprocessing"):
        preprocessing = data.Preprocessing.from_dict(recipe.data.preprocessing.to_dict())
    with naming("data.augmentation"):
        augmentation = data.Augmentation.from_dict(recipe.data.augmentation.to_dict())
    return preprocessing, augmentation


def _load(recipe: config_dict.ConfigDict, split: str) -> Examples:
    with naming_source("data", recipe.data.name, recipe.data.options):
        return data.load_examples(recipe.data.name, split, **recipe.data.options)


def _parts(recipe: config_dict.ConfigDict) -> tuple[Examples, dict[str, Examples]]:
    """What is trained on of the training split, and what is held out of it, by name.

    With both, the validation examples are of those that the fold leaves for training.
    """
    options, examples = recipe.data, _load(recipe, recipe.data.train_split)
    fraction = options.get("validation_fraction")  # not in recipes of before there was such a field
    held_out: dict[str, Examples] = {}
    if options.folds:
        with naming("data.folds"):
            folds = data.k_folds(examples, options.folds, options.fold_by, options.fold_seed)
        train, fold = folds[options.fold]
        held_out[HELD_OUT], examples = examples.subset(fold), examples.subset(train)
    if fraction:
        with naming("data.validation_fraction"):
            train, part = data.hold_out(examples, fraction, options.fold_by, options.fold_seed)
        held_out = {VALIDATION: examples.subset(part), **held_out}
        examples = examples.subset(train)
    return examples, held_out


def _check_classes(train: data.DatasetInfo, evaluated: data.DatasetInfo) -> None:
    if train.class_names != evaluated.class_names:
        raise ValueError(
            f"`data.eval_splits` must have the classes of {train.split!r}, {train.class_names}. "
            f"Received: {evaluated.split!r} with {evaluated.class_names}"
        )


def _check_batch_size(recipe: config_dict.ConfigDict, examples: Examples) -> None:
    repeats = recipe.data.repeats
    if recipe.batch_size > len(examples) * repeats:
        raise ValueError(
            f"`batch_size` must be at most the number of training examples, {len(examples)}"
            f"{f', times data.repeats={repeats}' if repeats > 1 else ''}. "
            f"Received: batch_size={recipe.batch_size}"
        )


def standardize_as_the_network_does(recipe: config_dict.ConfigDict) -> None:
    """Sets ``mean`` and ``std`` of a recipe's images, where not given, to those of its network.

    That is one of ``keras.applications``; other networks' images are left as they are.

    Raises:
        ValueError: If others are given than the weights were trained with.
    """
    given, name = recipe.data.preprocessing, recipe.model.name
    if not is_adaptable(name) or not is_application(name):
        return
    found = application_standardization(name, given.get("channels", 3))
    for attribute, values in zip(("mean", "std"), found, strict=True):
        if attribute not in given:
            given[attribute] = values
        elif recipe.init == "imagenet" and not _is_equal(given[attribute], values):
            raise ValueError(
                f"`data.preprocessing.{attribute}` must be left out or {values}, with which the "
                f"weights 'imagenet' of {name} were trained. Received: {given[attribute]!r}"
            )


def _is_equal(given: Any, values: Sequence[float]) -> bool:
    """Whether numbers, one or one a channel, are the same; what is none is refused elsewhere."""
    numbers = np.ravel(given)
    if not all(map(is_number, numbers.tolist())) or numbers.size not in (1, 3):
        return True
    return bool(np.allclose(np.broadcast_to(numbers, 3), np.broadcast_to(values, 3), rtol=1e-3))
