"""The training system where TensorFlow is not the backend."""

import math
import sys

import keras
import numpy as np
import pytest

from srm_keras.support.files import read_json
from srm_keras.training import load_run
from srm_keras.training.build import build_model
from srm_keras.training.distribution import Learner
from srm_keras.training.evaluation import label_ranks, top5_accuracy
from srm_keras.training.gates import gate_images
from srm_keras.training.inputs import Inputs, load_inputs
from srm_keras.training.optimizer import optimizer_class
from srm_keras.training.reports import read_metrics
from tests.support.confident import CASES, assert_confident_mistakes_count
from tests.support.tiny_training import (
    REGULARIZED,
    assert_same_run,
    tiny_network,
    tiny_recipe,
    train_tiny,
)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """A run for which there is no TensorFlow, whatever imports it."""
    workdir = tmp_path_factory.mktemp("undisturbed")
    with pytest.MonkeyPatch.context() as patch:
        for name in ("tensorflow", "tensorflow_datasets"):
            patch.setitem(sys.modules, name, None)
        train_tiny(tiny_recipe(), workdir)
    return workdir


def test_ties_and_nans_are_ranked_as_on_tensorflow():
    """Of equal scores the first, as `argmax`; a NaN is never right. Against a stable sort."""
    rng = np.random.default_rng(0)
    scores = rng.integers(0, 3, (300, 8)).astype("float32")
    scores[rng.random(scores.shape) < 0.1] = -np.inf
    labels = rng.integers(0, 8, 300)
    order = np.argsort(-scores, axis=1, kind="stable")
    expected = 1 + (order == labels[:, None]).argmax(axis=1)
    scores[:40:5, 3], expected[:40:5] = np.nan, 9
    ranks = keras.ops.convert_to_numpy(label_ranks(labels, scores))
    np.testing.assert_array_equal(ranks, expected)
    for one_hot, given in ((False, labels), (True, np.eye(8)[labels])):
        metric = top5_accuracy(one_hot)
        metric.update_state(given, scores)
        assert float(metric.result()) == pytest.approx(np.mean(expected <= 5))


def test_a_recipe_trains_from_arrays(undisturbed):
    rows = read_metrics(undisturbed / "metrics.csv")
    assert [row["step"] for row in rows] == [4, 8]
    assert all(math.isfinite(value) for row in rows for value in row.values())
    result = read_json(undisturbed / "result.json")
    last = result["last"]["splits"]["test"]
    assert last["accuracy"] == pytest.approx(rows[-1]["val_accuracy"], abs=1e-6)
    assert last["top5_accuracy"] == pytest.approx(rows[-1]["val_top5_accuracy"], abs=1e-6)
    assert last["loss"] == pytest.approx(rows[-1]["val_loss"], rel=1e-4)
    assert sum(one["examples"] for one in last["classes"].values()) == 24
    assert load_run(undisturbed).recipe.recalibration == "srm"


@pytest.mark.slow
def test_a_run_stops_early_killed_or_not(tmp_path):
    fields = {"eval_every": 2, "early_stopping.patience": 1, "early_stopping.min_delta": 9}
    recipe = tiny_recipe(**fields, **{"data.validation_fraction": 0.25})
    train_tiny(recipe, tmp_path / "whole")
    train_tiny(recipe, tmp_path / "killed", die_after=3)
    train_tiny(recipe, tmp_path / "killed")
    assert read_json(tmp_path / "whole" / "result.json")["stopped_early"]["step"] == 4
    assert_same_run(tmp_path / "whole", tmp_path / "killed")


@pytest.mark.parametrize("step", [3, pytest.param(5, marks=pytest.mark.slow)])
def test_a_run_that_dies_and_goes_on_is_bit_identical(step, undisturbed, tmp_path):
    train_tiny(tiny_recipe(), tmp_path, die_after=step)
    train_tiny(tiny_recipe(), tmp_path)
    assert_same_run(undisturbed, tmp_path)


@pytest.mark.parametrize(
    "network", [tiny_network, pytest.param(build_model, marks=pytest.mark.slow)]
)
def test_all_that_regularizes_trains_and_goes_on_bit_identical(network, tmp_path):
    """Stochastic depth, dropout, erasing, mixed and smoothed labels, copies, sigmoids."""
    recipe = tiny_recipe(**REGULARIZED, steps=2, eval_every=2, checkpoint_every=1)
    train_tiny(recipe, tmp_path / "whole", network=network)
    train_tiny(recipe, tmp_path / "dead", network=network, die_after=1)
    train_tiny(recipe, tmp_path / "dead", network=network)
    assert_same_run(tmp_path / "whole", tmp_path / "dead")
    result = read_json(tmp_path / "whole" / "result.json")
    trained = read_metrics(tmp_path / "whole" / "metrics.csv")[-1]["val_loss"]
    assert 0.2 < trained < 1.0  # of a sigmoid, that guesses: log 2
    assert 2.0 < result["last"]["splits"]["test"]["loss"] < 4.0  # of a softmax: log 10


def test_a_run_in_parts_by_another_optimizer_is_bit_identical_as_well(tmp_path):
    fields = {"optimizer.name": "lamb", "accumulation_steps": 2, "learning_rate.layer_decay": 0.5}
    train_tiny(tiny_recipe(**fields), tmp_path / "whole")
    train_tiny(tiny_recipe(**fields), tmp_path / "dead", die_after=5)
    train_tiny(tiny_recipe(**fields), tmp_path / "dead")
    assert_same_run(tmp_path / "whole", tmp_path / "dead")


@pytest.mark.parametrize("is_scaled", [False, True])
def test_a_batch_in_parts_is_the_batch(is_scaled):
    """Of a network without batch norm: weights, averages, and the logs; clipped after the sum."""
    one, parts = (_after_two_updates(count, is_scaled) for count in (1, 3))
    for value, found in zip(one, parts, strict=True):
        np.testing.assert_allclose(found, value, rtol=1e-5, atol=1e-6)


def _after_two_updates(count, is_scaled):
    keras.utils.set_random_seed(0)
    x = inputs = keras.Input((5, 5, 2))
    x = keras.layers.Conv2D(4, 3, activation="tanh", name="conv")(x)
    x = keras.layers.Dense(3, name="out")(keras.layers.GlobalAveragePooling2D()(x))
    learner = Learner(inputs, x)
    learner.accumulation_steps = count
    optimizer = optimizer_class("sgd")(0.1, ema_decay=0.9, global_clipnorm=0.05)
    if is_scaled:
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer, initial_scale=16.0)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    learner.compile(optimizer, loss, metrics=["accuracy"])
    learner.optimizer.build(learner.trainable_variables)
    images = np.random.default_rng(0).normal(size=(24, 5, 5, 2)).astype("float32")
    fitted = learner.fit(images, np.arange(24) % 3, batch_size=12, shuffle=False, verbose=0)
    state = [*learner.variables, *learner.optimizer.variables]
    return [*map(keras.ops.convert_to_numpy, state), *fitted.history.values()]


def test_images_for_the_gates_are_read_from_whatever_device(monkeypatch):
    """`np.asarray` reads no tensor on a GPU, and none that takes gradients, which stands for it."""
    inputs = load_inputs(tiny_recipe())
    plain = gate_images(inputs)
    evaluation = Inputs.evaluation

    def elsewhere(self, split):
        for images, labels in evaluation(self, split):
            on_torch = keras.config.backend() == "torch"
            yield (images.requires_grad_() if on_torch else images), labels

    monkeypatch.setattr(Inputs, "evaluation", elsewhere)
    np.testing.assert_array_equal(gate_images(inputs), plain)


@pytest.mark.parametrize(("ending", "dtype", "smoothing", "loss"), CASES)
def test_a_confident_mistake_has_its_whole_loss_and_gradient(ending, dtype, smoothing, loss):
    assert_confident_mistakes_count(ending, dtype, smoothing, loss)
