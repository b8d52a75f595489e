import subprocess
import sys

import keras
import numpy as np
import pytest

from srm_keras.export import deploy
from srm_keras.layers import SRM, recalibration
from tests.support.specs import (
    CORE_SPECS,
    is_spatial,
    needs_static_size,
    spec_id,
    specs_in_time,
)
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


SIDES = [
    pytest.param(*spec.values, side, marks=spec.marks)
    for spec in specs_in_time()
    for side in ((8, 7) if is_spatial(*spec.values) else (8,))
]


@pytest.mark.parametrize(("spec", "side"), SIDES, ids=lambda value: spec_id(value))
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


@pytest.mark.parametrize("spec", CORE_SPECS, ids=spec_id)
def test_a_gain_survives_and_multiplies_nothing_of_the_size_of_the_map(spec):
    options = {"name": spec} if isinstance(spec, str) else spec
    model = network({**options, "gain": 3}, side=8)
    x = feature_map((3, 8, 8, 3), seed=2)
    deployed = deploy(model, gates=True)
    output, gates = deployed(x)
    np.testing.assert_allclose(output, model(x, training=False), rtol=0, atol=6e-6)
    module = model.get_layer("recalibration")
    expected = module.gates(model.get_layer("conv")(x), training=False)
    np.testing.assert_allclose(gates, expected, rtol=0, atol=1e-6)
    (factors,) = (layer.output for layer in deployed.layers if layer.name.endswith("_gain"))
    # The gates of SimAM are as large as the map, and there is nothing smaller before them.
    assert options["name"] == "simam" or np.prod(factors.shape[1:]) < np.prod(
        model.output.shape[1:]
    )


@pytest.mark.parametrize(
    "spec", [spec for spec in CORE_SPECS if not needs_static_size(spec)], ids=spec_id
)
def test_unknown_sizes_stay_unknown(spec):
    model = network(spec, side=None)
    deployed = deploy(model)
    for shape in ((2, 9, 5, 3), (1, 4, 8, 3)):
        x = feature_map(shape, seed=3)
        np.testing.assert_allclose(deployed(x), model(x, training=False), rtol=0, atol=2e-6)


def test_names_of_a_network_and_of_deploy_forms_do_not_meet():
    """Operations within a form are called ``add``, ``rsqrt``, …, as layers of users are."""
    inputs = keras.Input((8, 8, 4), name="add")
    x = recalibration("srm", name="rsqrt")(inputs)
    x = recalibration("cbam", name="mean")(x)
    x = keras.layers.ReLU(name="rsqrt_gates")(recalibration("srm", name="multiply")(x))
    model = keras.Model(inputs, x)
    randomize(model, seed=1)
    deployed = deploy(model, gates=True)
    names = [layer.name for layer in deployed.layers]
    assert len(set(names)) == len(names)
    assert {"add", "rsqrt_gates"} <= set(names)
    images = feature_map((2, 8, 8, 4))
    assert len(deployed.outputs) == 4
    np.testing.assert_allclose(deployed(images)[0], model(images), rtol=0, atol=2e-6)


@pytest.mark.slow
@pytest.mark.parametrize("spec", ["srm", {"name": "cbam", "reduction": 4}], ids=spec_id)
def test_a_deployed_network_is_saved_and_loaded_by_keras_alone(spec, tmp_path):
    deployed = deploy(network(spec))
    deployed.save(tmp_path / "model.keras")
    images = feature_map((2, 7, 7, 3))
    np.save(tmp_path / "images.npy", images)
    code = (
        "import sys; sys.modules['srm_keras'] = None\n"
        "import keras, numpy as np\n"
        "model = keras.saving.load_model(sys.argv[1] + '/model.keras')\n"
        "np.save(sys.argv[1] + '/outputs.npy', model(np.load(sys.argv[1] + '/images.npy')))\n"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True, capture_output=True)
    np.testing.assert_allclose(
        np.load(tmp_path / "outputs.npy"), deployed(images), rtol=0, atol=1e-6
    )


def test_a_mixed_precision_network_is_deployed_in_float32():
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = network("srm", side=8)
        deployed = deploy(model)
        assert keras.config.dtype_policy().name == "mixed_float16"
    finally:
        keras.config.set_dtype_policy(before)
    assert {layer.compute_dtype for layer in deployed.layers} == {"float32"}
    exact = network("srm", side=8)
    images = feature_map((2, 8, 8, 3))
    np.testing.assert_allclose(deployed(images), exact(images), rtol=0, atol=2e-6)


class Halved(SRM):
    """A module of somebody else, which the deploy forms do not know."""

    def gates(self, inputs, training=None):
        return 0.5 * super().gates(inputs, training=training)


@pytest.mark.parametrize("case", ["unknown class", "channels_first", "called twice"])
def test_what_has_no_form_stays_as_it_is(case):
    inputs = keras.Input((6, 8, 5))
    options = {"data_format": "channels_first"} if case == "channels_first" else {}
    layer = (Halved if case == "unknown class" else SRM)(name="module", **options)
    x = layer(inputs)
    x = layer(x) if case == "called twice" else x
    model = keras.Model(inputs, x)
    randomize(model, seed=1)
    images = feature_map((2, 6, 8, 5))
    deployed = deploy(model)
    assert isinstance(deployed.get_layer("module"), SRM)
    np.testing.assert_allclose(deployed(images), model(images), rtol=0, atol=2e-6)
    with pytest.raises(ValueError, match=r"`gates` must be False .*'module'"):
        deploy(model, gates=True)


def test_the_model_is_left_alone():
    model = network("srm")
    before = model.get_weights()
    deployed = deploy(model)
    deployed.set_weights([np.zeros_like(weight) for weight in deployed.get_weights()])
    assert all(map(np.array_equal, before, model.get_weights()))
    assert model.trainable
