"""A batch that is computed in parts is the batch, on one device and on two."""

import contextlib

import keras
import numpy as np
import pytest
import tensorflow as tf

from srm_keras.training.distribution import Learner
from srm_keras.training.optimizer import OF_NAMES, optimizer_class


def by_name(name, is_scaled=False):
    """An optimizer that has all there is: clipping, decay, rates and averages."""
    cls = optimizer_class(name)
    decay = {cls.DECAY: 0.1, cls.EXCLUDE: ["out/bias"]}
    rest = {"ema_decay": 0.9, "rate_factors": {"conv/kernel": 0.5}, "global_clipnorm": 0.02}
    optimizer = cls(0.01, **decay, **rest)
    return _scaled(optimizer) if is_scaled else optimizer


def _scaled(optimizer):
    return keras.optimizers.LossScaleOptimizer(optimizer, initial_scale=8.0)


def in_parts(parts, optimizer, strategy=None, batch_norm=False, images=None, **compiling):
    """Weights, the optimizer's state and the logs after 3 updates of 12 examples in `parts`."""
    keras.utils.set_random_seed(0)
    with strategy.scope() if strategy else contextlib.nullcontext():
        x = inputs = keras.Input((5, 5, 2))
        x = keras.layers.Conv2D(4, 3, activation="tanh", name="conv")(x)
        if batch_norm:
            x = keras.layers.BatchNormalization(synchronized=True, name="bn")(x)
        x = keras.layers.GlobalAveragePooling2D()(x)
        model = Learner(inputs, keras.layers.Dense(3, name="out")(x))
        model.accumulation_steps = parts
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(
            optimizer(), loss, metrics=["accuracy"], **{"jit_compile": False, **compiling}
        )
        model.optimizer.build(model.trainable_variables)
    if images is None:
        images = np.random.default_rng(0).normal(size=(36, 5, 5, 2))
    before = [weight.numpy() for weight in model.trainable_variables]
    data = tf.data.Dataset.from_tensor_slices((images, np.arange(len(images)) % 3))
    logs = model.fit(data.batch(12, drop_remainder=True), shuffle=False, verbose=0).history
    # In their order: the names of optimizers count those of the process.
    state = [v.numpy() for v in (*model.variables, *model.optimizer.variables)]
    return [*state, logs["loss"], logs["accuracy"]], before


def assert_same_state(one, other, tolerance=1e-12):
    for value, found in zip(one[0], other[0], strict=True):
        np.testing.assert_allclose(found, value, rtol=tolerance, atol=tolerance)


NAMES = sorted(OF_NAMES.keys() - {"adamw", "lion"})  # which are AdamW and Lion


@pytest.mark.parametrize(
    ("name", "is_scaled"),
    [
        pytest.param(name, scaled, marks=[pytest.mark.slow] * ((name, scaled) != ("lamb", True)))
        for name in NAMES
        for scaled in (False, True)
    ],
)
def test_two_replicas_in_parts_are_one_device_and_one_batch(name, is_scaled, mirrored, float64):
    """Without batch norm; clipped after the sum over parts and replicas."""
    whole = in_parts(1, lambda: by_name(name, is_scaled))
    assert_same_state(whole, in_parts(3, lambda: by_name(name, is_scaled), mirrored))


COMPILING = [{"jit_compile": True}, {"steps_per_execution": 3}]


@pytest.mark.slow
@pytest.mark.parametrize("compiling", COMPILING, ids=str)
def test_the_loop_over_parts_is_compiled_with_the_rest(compiling, float64):
    whole = in_parts(1, lambda: by_name("adamw"))
    assert_same_state(whole, in_parts(4, lambda: by_name("adamw"), **compiling))


def test_with_batch_norm_two_replicas_in_parts_are_one_device_in_parts(mirrored, float64):
    """The parts have the same examples. One batch has other moments, and one moving average."""
    one, two = (
        in_parts(3, lambda: by_name("sgd"), strategy, batch_norm=True)
        for strategy in (None, mirrored)
    )
    assert_same_state(one, two)
    whole = in_parts(1, lambda: by_name("sgd"), batch_norm=True)
    assert np.abs(whole[0][0] - one[0][0]).max() > 1e-6


@pytest.mark.parametrize("replicas", [pytest.param(1, marks=pytest.mark.slow), 2])
def test_an_overflow_in_one_part_skips_the_update(replicas, mirrored):
    images = np.random.default_rng(0).normal(size=(12, 5, 5, 2)).astype("float32")
    images[7] = np.inf
    strategy = mirrored if replicas > 1 else None
    (*state, _, _), before = in_parts(
        3, lambda: by_name("sgd", is_scaled=True), strategy, images=images
    )
    for weight, found in zip(before, state, strict=False):
        np.testing.assert_array_equal(found, weight)
    assert 4.0 in [float(value) for value in state if np.ndim(value) == 0]
