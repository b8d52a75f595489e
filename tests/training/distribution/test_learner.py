"""Clipping and loss scaling see the gradients of the global batch."""

import contextlib

import keras
import numpy as np
import pytest
import tensorflow as tf

from srm_keras.data import Preprocessing
from srm_keras.models.weights import Trained
from srm_keras.training.distillation import Teacher
from srm_keras.training.distribution import Learner, local_values, set_synchronized


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
