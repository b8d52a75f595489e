"""The network, the optimizer and the schedule that a recipe names."""

import keras
from keras.optimizers.schedules import LearningRateSchedule
from ml_collections import config_dict

from srm_keras import models
from srm_keras.training.optimizer import SGDWithL2, paths_without_l2
from srm_keras.training.recipe import naming
from srm_keras.training.schedules import StepDecay, WarmUp, cosine_decay


def build_model(
    recipe: config_dict.ConfigDict, image_shape: tuple[int, int, int], classes: int
) -> keras.Model:
    """Builds the recipe's network, uncompiled, through `srm_keras.models.build`.

    Raises:
        ValueError: If `models.build` refuses the name, the recalibration or an option.
    """
    arguments = {"input_shape": image_shape, "classes": classes}
    if recipe.recalibration is not None:
        arguments["recalibration"] = recipe.to_dict()["recalibration"]
    with naming("model"):
        return models.build(recipe.model.name, **arguments, **recipe.model.options)


def make_schedule(recipe: config_dict.ConfigDict) -> LearningRateSchedule:
    """The learning rate of every update, from the recipe's `learning_rate` and `steps`."""
    rate = recipe.learning_rate
    schedule: LearningRateSchedule = StepDecay(rate.base, rate.milestones, rate.factor)
    if rate.schedule == "cosine":
        schedule = cosine_decay(rate.base, recipe.steps)
    return WarmUp(schedule, rate.warmup_steps) if rate.warmup_steps else schedule


def compiled_twin(
    model: keras.Model, recipe: config_dict.ConfigDict, schedule: LearningRateSchedule
) -> keras.Model:
    """A compiled model that shares every layer with `model`.

    `model` itself stays uncompiled, so that it is saved without optimizer state and loads
    wherever `srm_keras` is imported. XLA stays off: on a CPU it makes a step slower.
    """
    twin = keras.Model(model.inputs, model.outputs, name=model.name)
    optimizer = SGDWithL2(
        schedule,
        momentum=float(recipe.optimizer.momentum),
        nesterov=recipe.optimizer.nesterov,
        l2=recipe.optimizer.weight_decay,
        l2_exclude=paths_without_l2(model),
    )
    loss = keras.losses.SparseCategoricalCrossentropy()
    twin.compile(optimizer, loss, metrics=["accuracy"], jit_compile=False)
    return twin
