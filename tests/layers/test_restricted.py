"""Modules for some of their channels."""

import keras
import numpy as np
import pytest
from keras import ops

from srm_keras.layers import Recalibration, recalibration
from tests.support.reference import cbam, eca, relu, sigmoid
from tests.support.specs import SPECS, spec_id, specs_in_time
from tests.support.weights import (
    feature_map,
    randomize,
    to_channels_last,
    to_format,
    weights_by_path,
)

SHAPE = (3, 9, 7, 12)
KEPT = [0, 3, 4, 7, 11]
every_spec_in_time = pytest.mark.parametrize("spec", specs_in_time(), ids=spec_id)
every_format = pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])


def built(spec, data_format="channels_last") -> Recalibration:
    layer = recalibration(spec, name="module", data_format=data_format)
    layer.build(to_format(np.empty(SHAPE), data_format).shape)
    randomize(layer, seed=1)
    return layer


def gates(layer, x):
    """Gates at inference for a channels-last map, channels last."""
    given = ops.convert_to_tensor(to_format(x, layer.data_format))
    return to_channels_last(layer.gates(given, training=False), layer.data_format)


def options_of(spec) -> dict:
    return {"name": spec} if isinstance(spec, str) else spec


def looks_at_each_channel_by_itself(spec) -> bool:
    options = options_of(spec)
    if options["name"] == "srm":
        return options.get("integration") != "mlp"
    return options["name"] == "ge" and options["params"] != "theta_plus"


@every_spec_in_time
@every_format
def test_of_all_channels_it_is_a_copy(spec, data_format):
    layer = built(spec, data_format)
    before = layer.get_weights()
    copy = layer.restricted(range(SHAPE[-1]))
    x = feature_map(SHAPE)
    np.testing.assert_allclose(gates(copy, x), gates(layer, x), rtol=1e-6, atol=1e-7)
    assert copy.name == layer.name
    assert [w.shape for w in copy.get_weights()] == [w.shape for w in before]
    randomize(copy, seed=2)
    assert all(map(np.array_equal, before, layer.get_weights()))


@pytest.mark.parametrize("spec", list(filter(looks_at_each_channel_by_itself, SPECS)), ids=spec_id)
@every_format
def test_gates_of_channels_by_themselves_stay_the_same(spec, data_format):
    layer = built(spec, data_format)
    x = feature_map(SHAPE)
    smaller = layer.restricted(KEPT)
    np.testing.assert_allclose(
        gates(smaller, x[..., KEPT]), gates(layer, x)[..., KEPT], rtol=1e-5, atol=1e-6
    )
    if options_of(spec).get("params") != "theta_minus":
        assert smaller.count_params() * SHAPE[-1] == layer.count_params() * len(KEPT)


@pytest.mark.parametrize("name", ["se", "srm"])
def test_channels_that_are_left_out_of_an_mlp_count_as_zero(name):
    """Means of the other channels are zero, with the whole MLP; so are their standard deviations
    but for the root of epsilon, which is why SRM pools means here."""
    options = {"integration": "mlp", "pooling": ["avg"], "batch_norm": False}
    layer = built({"name": name, "reduction": 4, **(options if name == "srm" else {})})
    x = feature_map(SHAPE)
    alone = np.zeros_like(x)
    alone[..., KEPT] = x[..., KEPT]
    np.testing.assert_allclose(
        gates(layer.restricted(KEPT), x[..., KEPT]),
        gates(layer, alone)[..., KEPT],
        rtol=1e-5,
        atol=1e-6,
    )


def test_of_several_statistics_the_mlp_keeps_those_of_each_channel():
    layer = built({"name": "srm", "integration": "mlp", "pooling": ["avg", "max"], "reduction": 4})
    x = feature_map(SHAPE)
    alone = np.zeros_like(x)
    alone[..., KEPT] = x[..., KEPT]  # mean and maximum of the others are zero
    np.testing.assert_allclose(
        gates(layer.restricted(KEPT), x[..., KEPT]),
        gates(layer, alone)[..., KEPT],
        rtol=1e-5,
        atol=1e-6,
    )


def test_gather_excite_with_1x1_convolutions_keeps_its_depthwise_part():
    layer = built({"name": "ge", "extent": 0, "params": "theta_plus", "reduction": 4})
    x = feature_map(SHAPE)
    weights = weights_by_path(layer)
    gathered = ops.convert_to_numpy(layer.bns[0](layer.depthwise[0](x), training=False))
    z = relu(gathered.astype("float64"))
    z[..., [c for c in range(SHAPE[-1]) if c not in KEPT]] = 0
    for name in ("reduce", "expand"):
        z = z @ weights[f"{name}/kernel"][0, 0] + weights[f"{name}/bias"]
        z = relu(z) if name == "reduce" else z
    np.testing.assert_allclose(
        gates(layer.restricted(KEPT), x[..., KEPT]), sigmoid(z)[..., KEPT], rtol=1e-5, atol=1e-6
    )


@pytest.mark.parametrize("kernel_size", [None, 5])
def test_eca_looks_at_neighbours_among_those_kept_with_the_same_kernel(kernel_size):
    layer = built({"name": "eca", "kernel_size": kernel_size})
    x = feature_map(SHAPE)[..., KEPT]
    weights = weights_by_path(layer)
    expected = eca(x.astype("float64"), weights, kernel_size=len(weights["conv/kernel"]))
    np.testing.assert_allclose(gates(layer.restricted(KEPT), x), expected, rtol=1e-5, atol=1e-6)


def test_cbam_pools_over_the_channels_kept():
    layer = built({"name": "cbam", "reduction": 4})
    x = feature_map(SHAPE)[..., KEPT].astype("float64")
    weights = weights_by_path(layer)
    weights["mlp/reduce/kernel"] = weights["mlp/reduce/kernel"][KEPT]
    weights["mlp/expand/kernel"] = weights["mlp/expand/kernel"][:, KEPT]
    weights["mlp/expand/bias"] = weights["mlp/expand/bias"][KEPT]
    np.testing.assert_allclose(
        gates(layer.restricted(KEPT), x.astype("float32")),
        cbam(x, weights),
        rtol=1e-5,
        atol=1e-6,
    )


@every_spec_in_time
def test_it_comes_back_from_its_configuration_and_from_a_file(spec, tmp_path):
    smaller = built(spec).restricted(KEPT)
    inputs = keras.Input((*SHAPE[1:-1], len(KEPT)))
    model = keras.Model(inputs, smaller(inputs))
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    x = feature_map((*SHAPE[:-1], len(KEPT)))
    np.testing.assert_array_equal(ops.convert_to_numpy(loaded(x)), ops.convert_to_numpy(model(x)))
    assert loaded.layers[-1].get_config() == smaller.get_config()


@pytest.mark.parametrize("channels", [[], [3, 1], [1, 1], [-1, 2], [0, 12], [0.5], [[1]], 3])
@pytest.mark.parametrize("spec", ["srm", "ge"])
def test_bad_channels_are_refused(spec, channels):
    with pytest.raises(ValueError, match="`channels` must be ascending positions among the 12"):
        built(spec).restricted(channels)


def test_there_are_no_fewer_channels_than_hidden_units():
    layer = built({"name": "se", "reduction": 2})
    with pytest.raises(ValueError, match="as the bottleneck has hidden units, 6"):
        layer.restricted(KEPT)


def test_a_module_without_smaller_form_says_so():
    class Half(Recalibration):
        def gates(self, inputs, training=None):
            return ops.full((ops.shape(inputs)[0], 1, 1, inputs.shape[-1]), 0.5)

    layer = Half(name="half")
    layer.build(SHAPE)
    with pytest.raises(ValueError, match="Half has no form for some of its channels"):
        layer.restricted(KEPT)
