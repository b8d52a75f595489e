import keras
import numpy as np
import pytest

from srm_keras.export import deploy
from srm_keras.layers import Recalibration, recalibration
from tests.support.specs import EVERY_SPEC, needs_static_size, spec_id
from tests.support.weights import feature_map, randomize


def network(spec, side=7, channels=16, data_format="channels_last"):
    """A convolution and one module; 7 is divisible by no extent, 8 by all of them."""
    inputs = keras.Input((side, side, 3), name="image")
    x = keras.layers.Conv2D(channels, 3, padding="same", name="conv")(inputs)
    module = recalibration(spec, name="recalibration", data_format=data_format)
    model = keras.Model(inputs, module(x))
    randomize(model, seed=1)
    return model


def is_stock(model):
    """Whether Keras alone can load the model."""
    return not any(type(layer).__module__.startswith("srm_keras") for layer in model.layers)


@pytest.mark.parametrize("side", [7, 8])
@pytest.mark.parametrize("spec", EVERY_SPEC, ids=spec_id)
def test_a_deploy_form_computes_the_same_from_stock_layers(spec, side):
    model = network(spec, side)
    x = feature_map((3, side, side, 3), seed=2)
    module = model.get_layer("recalibration")
    expected = model(x, training=False)
    expected_gates = module.gates(model.get_layer("conv")(x), training=False)

    deployed = deploy(model, gates=True)

    assert is_stock(deployed)
    output, gates = deployed(x)
    np.testing.assert_allclose(output, expected, rtol=0, atol=2e-6)
    np.testing.assert_allclose(gates, expected_gates, rtol=0, atol=1e-6)
    assert np.ptp(gates) > 0.01
    np.testing.assert_array_equal(deploy(model)(x), output)
    assert not deployed.trainable_variables


@pytest.mark.parametrize("spec", EVERY_SPEC, ids=spec_id)
def test_unknown_sizes_stay_unknown(spec):
    if needs_static_size(spec):
        pytest.skip("the module has a kernel of the map's size")
    model = network(spec, side=None)
    deployed = deploy(model)
    for shape in ((2, 9, 5, 3), (1, 4, 8, 3)):
        x = feature_map(shape, seed=3)
        np.testing.assert_allclose(deployed(x), model(x, training=False), rtol=0, atol=2e-6)
