"""Dropout and stochastic depth: what is dropped, how much of it, and from which state."""

import keras
import numpy as np
import pytest
from keras import ops

from srm_keras.layers import Dropout, StochasticDepth
from tests.support.gradients import layer_gradients

RATE = 0.25
SHAPES = {Dropout: (4000, 3), StochasticDepth: (4000, 2, 1, 3)}


def called(layer, x, training=True):
    return ops.convert_to_numpy(layer(x, training=training))


@pytest.mark.parametrize("kind", SHAPES)
def test_what_is_kept_is_scaled_and_the_rest_is_zero(kind):
    x = np.random.default_rng(0).uniform(1, 2, SHAPES[kind]).astype("float32")
    layer = kind(RATE, seed=3)
    kept = called(layer, x) / x
    expected = np.where(kept > 0.5, 1 / (1 - RATE), 0.0)
    np.testing.assert_allclose(kept, expected, rtol=1e-6)
    draws = kept.size if kind is Dropout else len(kept)
    spread = np.sqrt(RATE * (1 - RATE) / draws)  # of a binomial's fraction
    assert abs((kept > 0).mean() - (1 - RATE)) < 4 * spread
    rows = kept.reshape(len(kept), -1) > 0
    constant = (rows == rows[:, :1]).all(axis=1)
    assert constant.all() == (kind is StochasticDepth)  # each example as a whole
    assert not np.array_equal(called(layer, x) / x, kept)  # anew in every call
    np.testing.assert_array_equal(called(layer, x, training=False), x)
    np.testing.assert_array_equal(called(kind(0.0), x), x)


@pytest.mark.parametrize("kind", SHAPES)
def test_the_state_is_in_a_variable_and_says_what_comes_next(kind):
    x = np.ones((16, *SHAPES[kind][1:]), "float32")
    layer, same, other = kind(0.5, seed=1), kind(0.5, seed=1), kind(0.5)
    called(layer, x)
    (state,) = layer.variables
    assert layer.weights == []
    assert layer.count_params() == 0
    before = ops.convert_to_numpy(state).copy()
    first, second = called(layer, x), called(layer, x)
    assert not np.array_equal(first, second)
    for one in (same, other):
        called(one, x)
        one.variables[0].assign(before)
        np.testing.assert_array_equal(called(one, x), first)
        np.testing.assert_array_equal(called(one, x), second)


def test_the_gradient_goes_where_the_values_went():
    x = np.ones((8, 2, 2, 1), "float32")
    inputs = keras.Input(x.shape[1:])
    model = keras.Model(inputs, StochasticDepth(0.5, seed=0)(inputs))
    y, dx, _ = layer_gradients(model, x, np.ones_like(x), training=True)
    np.testing.assert_array_equal(dx, y)
    assert set(np.unique(dx)) == {0.0, 2.0}


@pytest.mark.parametrize("kind", SHAPES)
def test_configuration_and_dtype(kind):
    layer = kind(0.5, seed=2, dtype="mixed_float16", name="one")
    again = kind.from_config(layer.get_config())
    assert (again.rate, again.seed, again.name) == (0.5, 2, "one")
    found = layer(np.ones((4, *SHAPES[kind][1:]), "float32"), training=True)
    assert keras.backend.standardize_dtype(found.dtype) == "float16"
    assert keras.saving.get_registered_name(kind) == f"srm_keras>{kind.__name__}"
    for rate in (1, 1.0, -0.1, "half", None):
        with pytest.raises(ValueError, match=r"`rate` must be a number in \[0, 1\)\. Received"):
            kind(rate)
