"""Reflection padding, instance norm and enlargement in deploy form, against NumPy in float64."""

import keras
import numpy as np
import pytest

from srm_keras.export import deploy
from srm_keras.layers.instance_norm import InstanceNormalization
from srm_keras.layers.reflection import ReflectionPadding2D
from tests.support.weights import feature_map, randomize


def deployed(layer, sides=(None, None), channels=3):
    inputs = keras.Input((*sides, channels), name="image")
    model = keras.Model(inputs, layer(inputs))
    randomize(model, seed=1)
    result = deploy(model)
    kinds = [type(one).__module__ for one in result.layers]
    return result, not any(kind.startswith("srm_keras") for kind in kinds)


def reflected(x, padding):
    pads = [(0, 0), (padding, padding), (padding, padding), (0, 0)]
    return np.pad(x.astype("float64"), pads, mode="reflect")


@pytest.mark.parametrize("padding", [1, 2, 4])
@pytest.mark.parametrize("sides", [(5, 8), (None, None)])
def test_padding_is_by_reflection(padding, sides):
    model, is_stock = deployed(ReflectionPadding2D(padding), sides)
    x = feature_map((2, 5, 8, 3))
    assert is_stock
    np.testing.assert_array_equal(model(x), reflected(x, padding).astype("float32"))


@pytest.mark.parametrize("sides", [(3, 4), (None, None)])
def test_enlargement_repeats_pixels(sides):
    model, _ = deployed(keras.layers.UpSampling2D(2), sides)
    assert not any(isinstance(layer, keras.layers.UpSampling2D) for layer in model.layers)
    x = feature_map((2, 3, 4, 3))
    np.testing.assert_array_equal(model(x), x.repeat(2, axis=1).repeat(2, axis=2))


@pytest.mark.parametrize("options", [{"size": 3}, {"interpolation": "bilinear"}])
def test_other_enlargements_stay(options):
    layer = keras.layers.UpSampling2D(**{"size": 2, **options})
    model, _ = deployed(layer)
    x = feature_map((1, 3, 4, 3))
    assert any(isinstance(one, keras.layers.UpSampling2D) for one in model.layers)
    np.testing.assert_array_equal(model(x), layer(x))


def test_instance_norm_is_that_of_its_definition():
    layer = InstanceNormalization(name="norm")
    model, is_stock = deployed(layer, channels=4)
    x = feature_map((2, 7, 5, 4)) * np.float32(40) + np.float32(100)
    gamma, beta = (weight.astype("float64") for weight in layer.get_weights())
    wide = x.astype("float64")
    mean = wide.mean(axis=(1, 2), keepdims=True)
    variance = wide.var(axis=(1, 2), keepdims=True)
    expected = gamma * (wide - mean) / np.sqrt(variance + 1e-5) + beta
    assert is_stock
    np.testing.assert_allclose(model(x), expected, rtol=0, atol=1e-5)


def test_channels_first_layers_stay():
    inputs = keras.Input((3, 6, 6), name="image")
    layer = ReflectionPadding2D(1, data_format="channels_first", name="pad")
    model = deploy(keras.Model(inputs, layer(inputs)))
    assert isinstance(model.get_layer("pad"), ReflectionPadding2D)
