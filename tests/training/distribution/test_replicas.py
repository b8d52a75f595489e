"""Reading and writing the replicas of a variable."""

import contextlib

import keras
import numpy as np
import pytest
import tensorflow as tf

from srm_keras.training.distribution import assign_local, local_values


def trained():
    """A small model with every kind of variable, after two steps on data that differ by replica."""
    keras.utils.set_random_seed(1)
    model = keras.Sequential(
        [
            keras.Input((4,)),
            keras.layers.Dense(3),
            keras.layers.BatchNormalization(),
            keras.layers.Dropout(0.5),
            keras.layers.Dense(1),
        ]
    )
    model.compile(keras.optimizers.SGD(0.1, momentum=0.9, use_ema=True), "mse", metrics=["mae"])
    x = np.random.default_rng(0).normal(size=(16, 4)).astype("float32")
    model.fit(tf.data.Dataset.from_tensor_slices((x, x[:, :1])).batch(8), shuffle=False, verbose=0)
    return model, [*model.variables, *model.optimizer.variables, *model.metrics_variables]


def state(variables):
    return [np.stack(local_values(variable)) for variable in variables]


@pytest.mark.parametrize("replicas", [1, 2])
def test_round_trip_is_bit_exact_and_the_next_step_is_the_same(replicas, mirrored):
    with mirrored.scope() if replicas == 2 else contextlib.nullcontext():
        model, variables = trained()
    before = state(variables)
    x = np.random.default_rng(1).normal(size=(8, 4)).astype("float32")
    batch = tf.data.Dataset.from_tensor_slices((x, x[:, :1])).batch(8)
    model.fit(batch, shuffle=False, verbose=0)
    after = state(variables)
    for variable, values in zip(variables, before, strict=True):
        assign_local(variable, list(values))
    for values, again in zip(before, state(variables), strict=True):
        assert len(values) == replicas
        assert values.dtype == again.dtype
        np.testing.assert_array_equal(values, again)
    model.fit(batch, shuffle=False, verbose=0)
    for values, again in zip(after, state(variables), strict=True):
        np.testing.assert_array_equal(values, again)


def test_replicas_of_moving_averages_and_metrics_are_told_apart(mirrored):
    with mirrored.scope():
        model, variables = trained()
    by_path = {variable.path: local_values(variable) for variable in variables}
    apart = {path for path, (a, b) in by_path.items() if not np.array_equal(a, b)}
    moving = {variable.path for variable in model.layers[1].non_trainable_variables}
    assert moving <= apart
    assert "loss/total" in apart
    assert not apart & {variable.path for variable in model.trainable_variables}
    totals = by_path["loss/total"]
    (variable,) = [variable for variable in variables if variable.path == "loss/total"]
    np.testing.assert_allclose(keras.ops.convert_to_numpy(variable), sum(totals), rtol=1e-6)


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16", "int32", "uint8", "bool"])
def test_every_dtype_and_value_survives(dtype, mirrored):
    values = np.array([0.0, -0.0, np.inf, np.nan, 3e38, 1e-45])
    if dtype not in ("float32", "float16", "bfloat16"):
        values = np.arange(6) % 2
    with mirrored.scope():
        variable = keras.Variable(np.zeros(6), dtype=dtype, trainable=False)
    with np.errstate(over="ignore"):
        first = values.astype(local_values(variable)[0].dtype)
    assign_local(variable, [first, first[::-1]])
    one, other = local_values(variable)
    assert one.tobytes() == first.tobytes()
    assert other.tobytes() == first[::-1].tobytes()


def test_wrong_values_are_refused(mirrored):
    with mirrored.scope():
        variable = keras.Variable(np.zeros(3), name="v")
    with pytest.raises(ValueError, match=r"each of the 2 local replicas of 'v'.*1 values"):
        assign_local(variable, [np.zeros(3)])
    with pytest.raises(ValueError, match=r"shape \(3,\) of 'v'.*shape \(4,\)"):
        assign_local(variable, [np.zeros(3), np.zeros(4)])
    np.testing.assert_array_equal(local_values(variable), np.zeros((2, 3)))
