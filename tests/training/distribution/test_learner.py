"""Clipping and loss scaling see the gradients of the global batch; nobody reads every loss."""

import contextlib

import keras
import numpy as np
import pytest
import tensorflow as tf

from srm_keras.data import Preprocessing
from srm_keras.models.weights import Trained
from srm_keras.training.distillation import Teacher
from srm_keras.training.distribution import (
    Learner,
    local_values,
    running_loss,
    set_synchronized,
)
from srm_keras.training.distribution.logs import Unread


def learned(cls, optimizer, strategy, images, steps=2):
    """The weights, and the optimizer, after `steps` updates on the same images."""
    keras.utils.set_random_seed(0)
    with strategy.scope() if strategy else contextlib.nullcontext():
        inputs = keras.Input((4,))
        model = cls(inputs, keras.layers.Dense(2, activation="softmax")(inputs))
        model.compile(optimizer(), "sparse_categorical_crossentropy", jit_compile=False)
    labels = np.arange(len(images)) % 2
    data = tf.data.Dataset.from_tensors((images, labels)).repeat(steps)
    history = model.fit(data, shuffle=False, verbose=0).history
    return np.concatenate([w.ravel() for w in model.get_weights()]), model.optimizer, history


class Batches(keras.callbacks.Callback):
    """What callbacks get at the end of every batch, of training and of evaluation."""

    def __init__(self):
        super().__init__()
        self.logs, self.test_logs = [], []

    def on_train_batch_end(self, batch, logs=None):
        self.logs.append(logs)

    def on_test_batch_end(self, batch, logs=None):
        self.test_logs.append(logs)


@pytest.mark.parametrize("stride", [1, 2])
def test_nothing_reads_the_logs_of_a_batch_until_it_is_asked_to(stride, monkeypatch):
    """Keras' own model has floats there, whose last and those of the epoch are the same as ours."""
    images = np.random.default_rng(0).normal(size=(8, 4)).astype("float32")
    data = tf.data.Dataset.from_tensors((images, np.arange(8) % 2)).repeat(4)
    found = []
    for cls in (keras.Model, Learner):
        keras.utils.set_random_seed(0)
        inputs = keras.Input((4,))
        model = cls(inputs, keras.layers.Dense(2, activation="softmax")(inputs))
        loss = "sparse_categorical_crossentropy"
        model.compile("sgd", loss, metrics=["accuracy"], steps_per_execution=stride)
        batches = Batches()
        with monkeypatch.context() as patch:
            patch.setattr(Unread, "__array__", None)
            model.fit(data, validation_data=data, verbose=2, callbacks=[batches])
        found.append((batches, model.history.history))
    (plain, theirs), (ours, history) = found
    assert history == theirs
    kinds = {type(value) for logs in ours.logs + ours.test_logs for value in logs.values()}
    assert kinds == {Unread}
    assert [{n: float(np.asarray(v)) for n, v in logs.items()} for logs in ours.logs] == plain.logs


def test_the_progress_bar_reads_what_it_shows(capsys):
    inputs = keras.Input((4,))
    model = Learner(inputs, keras.layers.Dense(2)(inputs))
    model.compile("sgd", "mse")
    model.fit(np.ones((8, 4), "float32"), np.full((8, 2), np.nan), batch_size=4, verbose=1)
    shown = capsys.readouterr().out.split("\r")
    assert "1/2" in shown[1]
    assert "loss: nan" in shown[1]


def test_the_running_loss_is_the_mean_over_the_replicas(mirrored):
    images = np.random.default_rng(0).normal(size=(8, 4)).astype("float32")
    losses = []

    class Reading(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch, logs=None):
            losses.append(running_loss(self.model))

    for strategy in (None, mirrored):
        keras.utils.set_random_seed(0)
        with strategy.scope() if strategy else contextlib.nullcontext():
            inputs = keras.Input((4,))
            model = Learner(inputs, keras.layers.Dense(2, activation="softmax")(inputs))
            model.compile("sgd", "sparse_categorical_crossentropy")
        data = tf.data.Dataset.from_tensors((images, np.arange(8) % 2)).repeat(2)
        model.fit(data, verbose=0, callbacks=[Batches(), Reading()])
        losses.append(model.evaluate(data.take(1), verbose=0))
    one, two = losses[:3], losses[3:]
    assert np.isnan([one[0], two[0]]).all()
    np.testing.assert_allclose(two[1:], one[1:], rtol=1e-6)
    assert one[1] != one[2]


CLIPPING = {
    "global_clipnorm": lambda: keras.optimizers.SGD(0.1, global_clipnorm=0.02),
    "clipnorm": lambda: keras.optimizers.SGD(0.1, clipnorm=0.02),
    "clipvalue": lambda: keras.optimizers.SGD(0.1, clipvalue=0.01),
    "global_clipnorm, scaled": lambda: keras.optimizers.LossScaleOptimizer(
        keras.optimizers.SGD(0.1, global_clipnorm=0.02), initial_scale=8.0
    ),
}


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[pytest.mark.slow] * ("scaled" in name)) for name in CLIPPING],
)
def test_clipping_on_two_replicas_is_that_on_one_device(name, mirrored, float64):
    images = np.random.default_rng(0).normal(size=(8, 4))
    one, _, logs = learned(keras.Model, CLIPPING[name], None, images)
    two, _, logs_of_two = learned(Learner, CLIPPING[name], mirrored, images)
    np.testing.assert_allclose(two, one, rtol=0, atol=1e-14)
    np.testing.assert_allclose(logs_of_two["loss"], logs["loss"], rtol=1e-12)
    plain, _, _ = learned(keras.Model, CLIPPING[name], mirrored, images)
    assert np.abs(plain - one).max() > 1e-5, "Keras clips the whole gradient now: drop Learner's"


def scaled():
    return keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.1), initial_scale=8.0)


@pytest.mark.parametrize("overflowing", [slice(0, 4), slice(4, 8)])
def test_an_overflow_on_one_replica_skips_the_update_on_both(overflowing, mirrored):
    images = np.random.default_rng(0).normal(size=(8, 4)).astype("float32")
    images[overflowing] = np.inf
    one, _, _ = learned(keras.Model, scaled, None, images, steps=1)
    two, optimizer, _ = learned(Learner, scaled, mirrored, images, steps=1)
    np.testing.assert_array_equal(two, one)
    assert np.isfinite(two).all()
    assert local_values(optimizer.dynamic_scale) == [4.0, 4.0]
    if overflowing.start:
        plain, _, _ = learned(keras.Model, scaled, mirrored, images, steps=1)
        assert not np.isfinite(plain).all(), "Keras sees every replica now: drop Learner's"


def test_a_batch_smaller_than_the_replicas_is_evaluated(mirrored):
    images = np.random.default_rng(0).normal(size=(5, 6, 6, 1)).astype("float32")
    data = tf.data.Dataset.from_tensor_slices((images, np.arange(5) % 2)).batch(4)
    scores = []
    for strategy in (None, mirrored):
        keras.utils.set_random_seed(0)
        with strategy.scope() if strategy else contextlib.nullcontext():
            inputs = keras.Input((6, 6, 1))
            x = keras.layers.Conv2D(4, 3, strides=2, use_bias=False)(inputs)
            x = keras.layers.Flatten()(keras.layers.BatchNormalization()(x))
            model = Learner(inputs, keras.layers.Dense(2, activation="softmax")(x))
            model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
        scores.append(model.evaluate(data, verbose=0))
    np.testing.assert_allclose(*scores, rtol=1e-6)


def distilled(strategy, clip_norm, images):
    """The weights and the loss after a step with a teacher, whose batch norm is not neutral."""
    keras.utils.set_random_seed(0)
    with strategy.scope() if strategy else contextlib.nullcontext():
        networks = []
        for _ in range(2):
            inputs = keras.Input((4, 4, 1))
            x = keras.layers.BatchNormalization(moving_mean_initializer="random_normal")(inputs)
            networks.append((inputs, keras.layers.Dense(3)(keras.layers.Flatten()(x))))
        trained = Trained(keras.Model(*networks[0]), "a teacher", "0" * 64)
        model = Learner(*networks[1])
        model.teacher = Teacher(trained, Preprocessing(4, channels=1), 2.0, 0.6)
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(keras.optimizers.SGD(0.1, global_clipnorm=clip_norm), loss, jit_compile=False)
        set_synchronized(model, strategy is not None)
    data = tf.data.Dataset.from_tensors((images, np.arange(len(images)) % 3))
    history = model.fit(data, shuffle=False, verbose=0).history
    return np.concatenate([w.ravel() for w in model.get_weights()]), history["loss"][0]


@pytest.mark.parametrize("clip_norm", [0.02, pytest.param(None, marks=pytest.mark.slow)])
def test_distillation_on_two_replicas_is_that_on_one_device(clip_norm, mirrored, float64):
    images = np.random.default_rng(0).normal(size=(8, 4, 4, 1))
    one, loss = distilled(None, clip_norm, images)
    two, loss_of_two = distilled(mirrored, clip_norm, images)
    np.testing.assert_allclose(two, one, rtol=0, atol=1e-13)
    assert loss_of_two == pytest.approx(loss, rel=1e-12)
