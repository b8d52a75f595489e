"""What every module must do, with every option, on every backend."""

import json

import keras
import numpy as np
import pytest
from keras import ops

from srm_keras.layers import Recalibration, neutral, recalibration
from tests.support.gradients import layer_gradients
from tests.support.reference import reference_gates
from tests.support.specs import (
    EVERY_SPEC,
    NAMES,
    SPECS,
    is_spatial,
    needs_static_size,
    spec_id,
    specs_in_time,
)
from tests.support.weights import (
    assert_checkpoint_round_trip,
    feature_map,
    randomize,
    to_channels_last,
    to_format,
    weights_by_path,
)

BACKEND = keras.config.backend()
SHAPE = (3, 9, 7, 12)
FORMATS = ("channels_last", "channels_first")
every_spec = pytest.mark.parametrize("spec", SPECS, ids=spec_id)
every_spec_in_time = pytest.mark.parametrize("spec", specs_in_time(), ids=spec_id)
every_format = pytest.mark.parametrize("data_format", FORMATS)
# Elsewhere than on TensorFlow, op by op far slower, the float64 reference is met in both formats.
formats = pytest.mark.parametrize("data_format", FORMATS[: 2 if BACKEND == "tensorflow" else 1])


def elsewhere_slow(*values):
    """Parameters that are ``slow`` on other backends, where others stand for them."""
    marks = [] if BACKEND == "tensorflow" else pytest.mark.slow
    return pytest.param(*values, marks=marks)


def built(spec, shape=SHAPE, data_format="channels_last", seed=1, dtype=None) -> Recalibration:
    options = {"name": spec} if isinstance(spec, str) else spec
    layer = recalibration({**options, "dtype": dtype}, name="module", data_format=data_format)
    layer.build(to_format(np.empty(shape), data_format).shape)
    randomize(layer, seed)
    return layer


@every_spec
@every_format
def test_output_equals_the_float64_reference(spec, data_format):
    layer = built(spec, data_format=data_format)
    x = feature_map(SHAPE)
    y = to_channels_last(layer(to_format(x, data_format), training=False), data_format)
    expected = layer.gain * x * reference_gates(spec, x, weights_by_path(layer))
    np.testing.assert_allclose(y, expected, rtol=2e-5, atol=2e-6)


@every_spec
@formats
def test_gates_have_the_documented_shape_and_the_output_is_their_product(spec, data_format):
    layer = built(spec, data_format=data_format)
    x = to_format(feature_map(SHAPE), data_format)
    gates = layer.gates(ops.convert_to_tensor(x), training=False)
    y = ops.convert_to_numpy(layer(x, training=False))
    expected = SHAPE if is_spatial(spec) else (SHAPE[0], 1, 1, SHAPE[-1])
    assert tuple(gates.shape) == to_format(np.empty(expected), data_format).shape
    gates = ops.convert_to_numpy(gates)
    assert gates.min() >= 0.0
    assert gates.max() <= 1.0
    np.testing.assert_allclose(y, layer.gain * x * gates, rtol=1e-6)


@every_spec
def test_a_gain_multiplies_the_output_and_leaves_the_gates_as_they_are(spec):
    options = {"name": spec} if isinstance(spec, str) else spec
    layer, doubled = (built({**options, "gain": gain}) for gain in (1, 2))
    x = ops.convert_to_tensor(feature_map(SHAPE))
    once, twice = (ops.convert_to_numpy(one(x, training=False)) for one in (layer, doubled))
    np.testing.assert_array_equal(twice, 2 * once)
    once, twice = (ops.convert_to_numpy(one.gates(x, training=False)) for one in (layer, doubled))
    np.testing.assert_array_equal(twice, once)


@every_spec
def test_a_neutral_module_begins_as_the_identity_and_learns(spec):
    options = {"name": spec} if isinstance(spec, str) else spec
    if options.get("params") == "theta_minus" or options["name"] == "simam":
        return  # they have no weights
    layer = recalibration(neutral(spec))
    layer.build(SHAPE)
    x = feature_map(SHAPE)
    for training in (False, True) if BACKEND == "tensorflow" else (True,):
        y, _, dw = layer_gradients(layer, x, x, training)
        np.testing.assert_array_equal(y, x)
        assert max(float(np.abs(gradient).max()) for gradient in dw) > 1e-3
    gates = ops.convert_to_numpy(layer.gates(ops.convert_to_tensor(x), training=False))
    np.testing.assert_array_equal(gates, np.full_like(gates, 1 / layer.gain))
    assert layer.gain == (4 if options["name"] == "cbam" else 2)


def test_a_configuration_of_before_has_gain_1_and_usual_weights():
    for spec in ("srm", "se", "ge", "eca", "cbam"):
        config = built(spec).get_config()
        del config["gain"], config["neutral"]
        layer = type(recalibration(spec)).from_config(config)
        assert (layer.gain, layer.neutral) == (1.0, False)


@every_spec
@formats
def test_every_weight_and_the_input_get_a_finite_nonzero_gradient(spec, data_format):
    layer = built(spec, data_format=data_format)
    x = to_format(feature_map(SHAPE), data_format)
    upstream = np.random.default_rng(2).normal(size=x.shape).astype("float32")
    names = ["input", *(variable.path for variable in layer.trainable_variables)]
    largest = dict.fromkeys(names, 0.0)
    # A bias before a batch norm has no gradient in training mode, so both modes are looked at.
    for training in (True, False):
        _, dx, dw = layer_gradients(layer, x, upstream, training)
        for name, gradient in zip(names, [dx, *dw], strict=True):
            assert gradient is not None, name
            assert np.all(np.isfinite(gradient)), name
            largest[name] = max(largest[name], float(np.abs(gradient).max()))
    assert min(largest.values()) > 1e-5, largest


def in_numpy(name: str, value):
    """A number as arrays hold it, float32 where that has the same; others as they are."""
    if name == "trainable" or type(value) not in (bool, int, float):
        return value
    single = isinstance(value, float) and float(np.float32(value)) == value
    return (np.float32 if single else np.array(value).dtype.type)(value)


@every_spec
def test_numbers_of_numpy_make_the_same_layer_and_configurations_that_json_holds(spec):
    plain = recalibration(spec, name="module").get_config()
    options = {"name": spec} if isinstance(spec, str) else spec
    numpy = {name: in_numpy(name, value) for name, value in {**plain, **options}.items()}
    config = recalibration(numpy, name="module").get_config()
    assert json.dumps(config) == json.dumps(plain)


@every_spec
def test_config_round_trip(spec):
    layer = built(spec)
    clone = type(layer).from_config(layer.get_config())
    assert clone.get_config() == layer.get_config()
    clone.build(SHAPE)
    clone.set_weights(layer.get_weights())
    x = feature_map(SHAPE)
    np.testing.assert_array_equal(
        ops.convert_to_numpy(clone(x, training=False)),
        ops.convert_to_numpy(layer(x, training=False)),
    )


@pytest.mark.parametrize("spec", NAMES)
@formats
def test_keras_file_round_trip(spec, data_format, tmp_path):
    layer = built(spec, data_format=data_format)
    x = to_format(feature_map(SHAPE), data_format)
    inputs = keras.Input(batch_shape=(None, *x.shape[1:]))
    model = keras.Model(inputs, layer(inputs))
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(ops.convert_to_numpy(loaded(x)), ops.convert_to_numpy(model(x)))


@pytest.mark.skipif(BACKEND != "tensorflow", reason="a checkpoint of TensorFlow")
@every_spec
def test_a_tensorflow_checkpoint_restores_every_weight(spec, tmp_path):
    assert_checkpoint_round_trip(built(spec), built(spec, seed=2), tmp_path / "checkpoint")


def test_gather_excite_is_found_where_older_files_have_it(tmp_path):
    """Under three lists, which files written before its sublayers were attributes hold."""
    h5py = pytest.importorskip("h5py")
    inputs = keras.Input((8, 8, 8))
    layer = built({"name": "ge", "extent": 4, "params": "theta_plus"}, (2, 8, 8, 8))
    keras.Model(inputs, layer(inputs)).save_weights(tmp_path / "model.weights.h5")
    sublayers = {"depthwise": "depthwise_conv2d", "bns": "batch_normalization"}
    sublayers["pointwise"] = "conv2d"
    with h5py.File(tmp_path / "model.weights.h5") as file:
        saved = file["layers/gather_excite"]
        for name, kind in sublayers.items():
            for index, suffix in enumerate(("", "_1")):
                weights = getattr(layer, name)[index].get_weights()
                stored = saved[f"{name}/{kind}{suffix}/vars"]
                assert len(stored) == len(weights)
                for number, weight in enumerate(weights):
                    np.testing.assert_array_equal(stored[str(number)], weight)
        assert sorted(saved) == sorted([*sublayers, "vars"])


@pytest.mark.parametrize(
    "spec", [spec for spec in SPECS if not needs_static_size(spec)], ids=spec_id
)
@formats
def test_unknown_batch_height_and_width(spec, data_format):
    channels = SHAPE[-1]
    shape = (None, None, None, channels)
    shape = shape if data_format == "channels_last" else (None, channels, None, None)
    layer = recalibration(spec, name="module", data_format=data_format)
    inputs = keras.Input(batch_shape=shape)
    model = keras.Model(inputs, layer(inputs))
    randomize(model)
    assert tuple(model.output.shape) == shape
    for size in ((2, 7, 13, channels), (1, 16, 16, channels)):
        x = feature_map(size)
        y = to_channels_last(model(to_format(x, data_format)), data_format)
        expected = layer.gain * x * reference_gates(spec, x, weights_by_path(layer))
        np.testing.assert_allclose(y, expected, rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize(
    ("policy", "tolerance"),
    [("mixed_float16", 4e-3), elsewhere_slow("mixed_bfloat16", 3e-2), ("float64", 1e-6)],
)
@every_spec_in_time
def test_precision_policies(spec, policy, tolerance):
    x = feature_map(SHAPE)
    layer = built(spec, dtype=policy)
    y = layer(ops.cast(x, layer.compute_dtype), training=False)
    assert y.dtype == ops.zeros((), layer.compute_dtype).dtype
    expected = layer.gain * x * reference_gates(spec, x, weights_by_path(layer))
    np.testing.assert_allclose(
        ops.convert_to_numpy(ops.cast(y, "float32")), expected, rtol=tolerance, atol=4 * tolerance
    )


HARD_INPUTS = {
    "constant_channel": np.concatenate(
        [np.full((3, 4, 4, 6), 3.0), feature_map((3, 4, 4, 6))], axis=-1
    ),
    "one_pixel": feature_map((3, 1, 1, 12)),
    "batch_of_one": feature_map((1, 4, 4, 12)),
    "one_pixel_batch_of_one": feature_map((1, 1, 1, 12)),
    "zeros": np.zeros((3, 4, 4, 12)),
    "large_mean": feature_map((3, 4, 4, 12)) + 1e3,
}


@pytest.mark.parametrize(
    "case",
    [
        elsewhere_slow(case) if case in ("one_pixel", "batch_of_one") else case
        for case in HARD_INPUTS
    ],
)
@every_spec_in_time
def test_hard_inputs_give_finite_outputs_and_gradients(spec, case):
    if case == "large_mean" and spec_id(spec).startswith("srm") and BACKEND == "torch":
        pytest.xfail("Keras 3.15 on torch takes batch norm's variance as E[x²] − E[x]²: NaN here")
    x = HARD_INPUTS[case].astype("float32")
    layer = built(spec, shape=x.shape)
    for training in (False, True):
        y, dx, dw = layer_gradients(layer, x, np.ones_like(x), training)
        assert all(np.all(np.isfinite(array)) for array in (y, dx, *dw))


@every_spec
def test_float16_activations_of_magnitude_300_stay_finite(spec):
    x = (300.0 * feature_map(SHAPE)).astype("float16")
    layer = built(spec, dtype="mixed_float16")
    y, dx, dw = layer_gradients(layer, x, np.full(x.shape, 0.1, "float32"), training=True)
    assert y.dtype == np.float16
    assert all(np.all(np.isfinite(array)) for array in (y, dx, *dw))
    assert np.any(y != 0.0)


@every_spec
def test_folded_copy_computes_the_same_without_batch_norm(spec):
    layer = built(spec)
    folded = layer.folded()
    assert not [v.path for v in folded.variables if "moving" in v.path]
    x = feature_map(SHAPE)
    np.testing.assert_allclose(
        ops.convert_to_numpy(folded(x)),
        ops.convert_to_numpy(layer(x, training=False)),
        rtol=1e-5,
        atol=1e-6,
    )


def test_layer_count_is_that_of_the_tables():
    """The list of specs above must not shrink by accident."""
    assert len(EVERY_SPEC) == 36
    for specs in (EVERY_SPEC, SPECS):
        assert {spec if isinstance(spec, str) else spec["name"] for spec in specs} == set(NAMES)
