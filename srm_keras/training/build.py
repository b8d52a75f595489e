"""The network, the loss, the optimizer and the schedule that a recipe names."""

import functools
import json
from collections.abc import Sequence
from typing import Any

import keras
from keras.optimizers.schedules import LearningRateSchedule
from ml_collections import config_dict

from srm_keras import models
from srm_keras.layers import neutral
from srm_keras.layers.conventions import dtype_policy
from srm_keras.models.adapted import adapted, is_adaptable
from srm_keras.models.applications import application_names
from srm_keras.models.catalog import name_of, settings_of
from srm_keras.models.head import logits
from srm_keras.models.weights import Blueprint
from srm_keras.support.validation import nearest
from srm_keras.training.by_path import ByPath
from srm_keras.training.distribution import Learner
from srm_keras.training.evaluation import TOP, top5_accuracy
from srm_keras.training.fields import naming
from srm_keras.training.inputs import BINARY_CROSSENTROPY
from srm_keras.training.optimizer import check_optimizer, optimizer_class
from srm_keras.training.parts import paths_without_decay, rate_factors


def check_model(recipe: config_dict.ConfigDict, image_shape: tuple[int, int, int]) -> None:
    """Raises the ``ValueError`` of ``build_model`` for wrong names and options.

    Of a network of this package nothing is built. Of another one a first one is, which is the way
    to know what its constructor takes; recipes that differ elsewhere share it.
    """
    name = recipe.model.name
    with naming("model"):
        if is_adaptable(name):
            arguments = _arguments(recipe, image_shape, 2)
            with dtype_policy(recipe.dtype_policy):
                _try_adapted(name, json.dumps(arguments))
        else:
            _check_name(name)
            models.check_build(name, **_arguments(recipe, image_shape, 2))


@functools.lru_cache(maxsize=64)
def _try_adapted(name: str, arguments: str) -> None:
    adapted(name, **json.loads(arguments))


def build_model(
    recipe: config_dict.ConfigDict,
    image_shape: tuple[int, int, int],
    classes: int,
    blueprint: Blueprint | None = None,
) -> keras.Model:
    """Builds the recipe's network, uncompiled: of ``models.build``, or another one adapted.

    Args:
        recipe: The resolved recipe.
        image_shape: Of an image.
        classes: Number of classes.
        blueprint: Of the trained network that it will begin with.

    Raises:
        ValueError: If the name, the recalibration or an option is refused.
    """
    name = recipe.model.name
    with naming("model"):
        arguments = _arguments(recipe, image_shape, classes)
        # A trained network says what gains its modules have, and new ones start neutral.
        if blueprint is not None and "recalibration" in arguments:
            arguments["recalibration"] = recipe.to_dict()["recalibration"]
        if is_adaptable(name):
            return adapted(name, **arguments, blueprint=blueprint)
        if blueprint is not None:
            arguments["weights"] = blueprint
        return models.build(name, **arguments)


def network_name(recipe: config_dict.ConfigDict) -> str:
    """The network of a resolved recipe, by the name under which there may be weights of it."""
    name = recipe.model.name
    if is_adaptable(name):
        return name
    given = recipe.to_dict()
    arguments = {**given["model"]["options"], "recalibration": given["recalibration"]}
    arguments = {key: value for key, value in arguments.items() if value is not None}
    with naming("model"):
        return name_of(name, **arguments)


def _check_name(name: str) -> None:
    known = models.list_models()
    if name not in known:
        others = application_names()
        raise ValueError(
            "`name` must be one of `srm-keras models`, a network of keras.applications or a .keras "
            f"file. Received: name={name!r}{nearest(name, [*known, *others])}"
        )


def _arguments(
    recipe: config_dict.ConfigDict, image_shape: tuple[int, int, int], classes: int
) -> dict[str, Any]:
    """What ``adapted`` or ``models.build`` is called with, beside the name."""
    given = recipe.to_dict()
    options = given["model"]["options"]
    arguments: dict[str, Any] = {"input_shape": image_shape, "classes": classes}
    if recipe.recalibration is not None:
        arguments["recalibration"] = module_spec(recipe)
    if is_adaptable(recipe.model.name):
        return {**arguments, "where": given["model"]["where"], "options": options}
    if recipe.recalibration is None and recipe.model.neutral:
        _check_no_module_in(recipe.model.name)
    for name in (*arguments, "weights"):  # `init` names these
        if name in options:
            raise ValueError(
                f"`options` must not hold {name!r}, which the recipe says elsewhere. "
                f"Received: options={options}"
            )
    return {**arguments, **options}


def module_spec(recipe: config_dict.ConfigDict) -> Any:
    """The recipe's ``recalibration``, whose modules start neutral where it says so.

    Raises:
        ValueError: If it is no spec.
    """
    spec = recipe.to_dict()["recalibration"]
    return neutral(spec) if recipe.model.neutral else spec


def _check_no_module_in(name: str) -> None:
    """Raises ``ValueError`` for a name that has its module, which is then as published."""
    _, settings = settings_of(name)
    if "recalibration" in settings:
        raise ValueError(
            "`neutral` must be False where the name of the network says its module; give the "
            f"network's name and `recalibration` apart. Received: neutral=True and name={name!r}"
        )


def make_optimizer(
    recipe: config_dict.ConfigDict, model: keras.Model, schedule: LearningRateSchedule
) -> ByPath:
    """The recipe's optimizer for ``model``, not built yet.

    Raises:
        ValueError: If its name, an option or a part of the network is refused.
    """
    check_optimizer(recipe)
    fields, rate = recipe.optimizer, recipe.learning_rate
    options = fields.to_dict()["options"]
    if fields.name == "sgd":
        options |= {"momentum": float(fields.momentum), "nesterov": fields.nesterov}
    cls = optimizer_class(fields.name)
    excluded = paths_without_decay(
        model, fields.exclude_from_decay, modules=not fields.decay_recalibration
    )
    decay: dict[str, Any] = {cls.DECAY: float(fields.weight_decay), cls.EXCLUDE: excluded}
    with naming("optimizer.options"):
        return cls(
            schedule,
            **decay,
            **options,
            ema_decay=float(fields.ema_decay),
            rate_factors=rate_factors(model, rate.multipliers or {}, rate.layer_decay),
            global_clipnorm=float(fields.clip_norm) or None,
        )


def make_metrics(one_hot: bool, classes: int) -> list[keras.metrics.Metric]:
    """The accuracy and, of more than five classes, the top-5 accuracy.

    Args:
        one_hot: Whether labels are (B, classes) probabilities instead of (B,) class numbers.
        classes: Number of classes.
    """
    kind = keras.metrics.CategoricalAccuracy if one_hot else keras.metrics.SparseCategoricalAccuracy
    accuracy = kind(name="accuracy")
    return [accuracy, top5_accuracy(one_hot)] if classes > TOP else [accuracy]


def compiled_twin(
    model: keras.Model,
    recipe: config_dict.ConfigDict,
    optimizer: ByPath,
    metrics: Sequence[keras.metrics.Metric],
) -> Learner:
    """A compiled model of the logits that shares every layer with ``model``, its optimizer built.

    ``model`` itself stays uncompiled, so that it is saved without optimizer state and loads
    wherever ``srm_keras`` is imported. The softmax that it ends in belongs to what is saved;
    training works on what goes into it: of probabilities the cross-entropy ends at 16.1 on JAX and
    torch, where they are clipped, and an example that is more wrong than that has no gradient.

    Args:
        model: The network.
        recipe: The resolved recipe.
        optimizer: What ``make_optimizer`` returned.
        metrics: What ``make_metrics`` returned; the accuracy in it decides on the loss.

    Raises:
        ValueError: If ``model`` ends in another activation than a softmax.
    """
    twin = Learner(model.inputs, [logits(model)], name=model.name)
    twin.accumulation_steps = recipe.accumulation_steps
    twin.compile(
        optimizer,
        make_loss(recipe, metrics[0]),
        metrics=list(metrics),
        jit_compile=jit_compile(recipe),
        steps_per_execution=recipe.steps_per_execution,
    )
    twin.optimizer.build(twin.trainable_variables)
    return twin


def jit_compile(recipe: config_dict.ConfigDict) -> bool | str:
    """Whether to compile with XLA: a choice on TensorFlow alone.

    There Keras' own ``"auto"`` is what the recipe's means: yes on one GPU or TPU, no on a CPU,
    where XLA makes a step slower, and on several devices. Keras compiles nothing where operations
    are ``deterministic``, whatever it is told.
    """
    return recipe.jit_compile if keras.config.backend() == "tensorflow" else "auto"


class BinaryCrossentropy(keras.losses.Loss):
    """The cross-entropy of a sigmoid for each class, a mean over the classes, of logits.

    Labels are smoothed as those of a softmax are, ``t (1 - s) + s / classes``, as in timm: what
    Keras' own loss of this name mixes in is 1/2.

    Args:
        label_smoothing: s, in [0, 1).

    Reference:
        Wightman, Touvron, Jégou, *ResNet strikes back: An improved training procedure in timm*,
        2021, section 3.2; Beyer et al., *Are we done with ImageNet?*, 2020, section 5.1.
    """

    def __init__(self, label_smoothing: float = 0.0):
        super().__init__(name=BINARY_CROSSENTROPY)
        self.label_smoothing = label_smoothing

    def call(self, y_true, y_pred):
        """The losses (B,) of labels and logits, both (B, classes)."""
        classes = y_pred.shape[-1]
        targets = y_true * (1 - self.label_smoothing) + self.label_smoothing / classes
        losses = keras.ops.binary_crossentropy(targets, y_pred, from_logits=True)
        return keras.ops.mean(losses, axis=-1)


def make_loss(recipe: config_dict.ConfigDict, accuracy: keras.metrics.Metric) -> keras.losses.Loss:
    """The recipe's loss of logits, for labels of the form that ``accuracy`` takes."""
    if recipe.loss == BINARY_CROSSENTROPY:
        return BinaryCrossentropy(recipe.label_smoothing)
    if isinstance(accuracy, keras.metrics.SparseCategoricalAccuracy):
        return keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    return keras.losses.CategoricalCrossentropy(
        from_logits=True, label_smoothing=recipe.label_smoothing
    )
