"""The stylizer that a recipe names, and the model that is trained in its place."""

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops
from keras.optimizers.schedules import LearningRateSchedule
from ml_collections import config_dict

from srm_keras.models.adain import AdaINStylizer, encoder_layers
from srm_keras.models.applications import check_weights_file
from srm_keras.models.feature_network import feature_network
from srm_keras.models.stylization import StylizationNet, check_specs
from srm_keras.training.build import jit_compile
from srm_keras.training.distribution import Learner
from srm_keras.training.fields import naming
from srm_keras.training.stylization.losses import adain_objective, perceptual_objective

Objective = tuple[Any, dict[str, Any]]
"""Inputs, and a number for each example by the name of the loss: functional Keras tensors."""


def check_networks(recipe: config_dict.ConfigDict) -> None:
    """Raises what building the networks would raise for wrong names; reads no weights.

    Raises:
        ValueError: If the recalibration, a layer or a network's name is wrong, or a file missing.
    """
    features = recipe.features
    with naming("features"):
        if features.weights != "imagenet":
            check_weights_file(features.weights)
        if recipe.method == "adain":
            encoder_layers(features.content_layer, features.network)
        elif not features.network.endswith(".keras"):
            _check_layers(_feature_layers(recipe), features.network)
    if recipe.method == "feed_forward":
        with naming("network"):
            check_specs(recipe.to_dict()["recalibration"], recipe.network.blocks)


@functools.lru_cache
def _check_layers(layers: tuple[str, ...], network: str) -> None:
    feature_network(layers, network, weights=None)


def _feature_layers(recipe: config_dict.ConfigDict) -> tuple[str, ...]:
    features = recipe.features
    return tuple(dict.fromkeys([*features.style_layers, features.content_layer]))


def build_stylizer(recipe: config_dict.ConfigDict) -> keras.Model:
    """Builds the recipe's network, uncompiled.

    Raises:
        ValueError: If the recalibration, a layer or the encoder's weights are wrong.
    """
    features = recipe.features
    if recipe.method == "adain":
        with naming("features"):
            return AdaINStylizer(features.content_layer, features.network, features.weights)
    with naming("network"):
        return StylizationNet(
            recipe.normalization,
            recipe.to_dict()["recalibration"],
            recipe.network.filters,
            recipe.network.blocks,
        )


def build_objective(
    recipe: config_dict.ConfigDict, stylizer: keras.Model, style: np.ndarray | None
) -> Objective:
    """What ``stylizer`` is trained to make small, for a style image uint8 (H, W, 3) or AdaIN.

    Raises:
        ValueError: If the feature network, a layer or its weights are wrong.
    """
    if recipe.method == "adain":
        return adain_objective(stylizer)
    assert style is not None
    features = recipe.features
    with naming("features"):
        network = feature_network(
            _feature_layers(recipe), features.network, features.weights, features.preprocessing
        )
        return perceptual_objective(
            stylizer,
            network,
            style,
            features.content_layer,
            features.style_layers,
            total_variation=recipe.loss.total_variation > 0,
        )


@keras.saving.register_keras_serializable("srm_keras")
class WeightedSum(keras.losses.Loss):
    """``Σ_k weights[k] · losses[:, k]`` of what a learner puts out; it needs no labels.

    Args:
        weights: A weight for each loss.
    """

    def __init__(self, weights: Sequence[float], **kwargs: Any):
        super().__init__(**kwargs)
        self.weights = tuple(weights)

    def call(self, y_true, y_pred):
        """The weighted sum (N,) of the losses ``y_pred`` (N, K)."""
        return ops.sum(y_pred * ops.convert_to_tensor(self.weights, y_pred.dtype), axis=-1)

    def get_config(self) -> dict:
        """The arguments, as JSON can hold them."""
        return {**super().get_config(), "weights": list(self.weights)}


def loss_weights(recipe: config_dict.ConfigDict, names: Sequence[str]) -> dict[str, float]:
    """The recipe's weight of each loss, ``content_loss`` and so on."""
    return {name: float(recipe.loss[name.removesuffix("_loss")]) for name in names}


def loss_means(names: Sequence[str]) -> list[keras.metrics.Metric]:
    """A running mean of each loss, without its weight."""

    def column(index: int):
        return lambda y_true, y_pred: y_pred[:, index]

    return [keras.metrics.MeanMetricWrapper(column(k), name) for k, name in enumerate(names)]


def compiled_learner(
    objective: Objective,
    weights: Mapping[str, float],
    metrics: Sequence[keras.metrics.Metric],
    schedule: LearningRateSchedule,
    recipe: config_dict.ConfigDict,
    name: str,
) -> Learner:
    """A compiled model from the objective's inputs to its losses (N, K), its optimizer built.

    It shares the stylizer's layers. Adam has the constants of PyTorch.

    Args:
        objective: What ``build_objective`` returned.
        weights: The weight of each loss.
        metrics: What ``loss_means`` returned.
        schedule: The learning rate of every update.
        recipe: The resolved recipe.
        name: Of the model.
    """
    inputs, terms = objective
    losses = ops.stack([terms[loss] for loss in weights], axis=-1)
    learner = Learner(inputs, losses, name=name)
    learner.accumulation_steps = recipe.accumulation_steps
    learner.compile(
        keras.optimizers.Adam(schedule, epsilon=1e-8),
        WeightedSum(tuple(weights.values())),
        metrics=list(metrics),
        jit_compile=jit_compile(recipe),
        steps_per_execution=recipe.steps_per_execution,
    )
    learner.optimizer.build(learner.trainable_variables)
    return learner
