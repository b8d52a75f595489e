"""What every network must do with every module."""

import itertools

import keras
import numpy as np
import pytest
from keras import ops

from srm_keras.layers import Recalibration, neutral
from srm_keras.models import CifarResNet
from tests.support.gradients import layer_gradients
from tests.support.networks import SHAPE, small_network
from tests.support.specs import FIRST, NAMES
from tests.support.weights import (
    assert_checkpoint_round_trip,
    feature_map,
    randomize,
    to_format,
)

MODULES = [None, *NAMES]
SMALLEST, *LARGER = "cifar_basic", "cifar_bottleneck", "resnet18", "resnet50", "variant"


def every_network(*larger: str, quickly=MODULES):
    """The smallest network with the modules ``quickly``, larger ones with SRM; all in time.

    A module stands in the same place of every kind of block.
    """
    cells = []
    for kind, module in itertools.product((SMALLEST, *larger), MODULES):
        quick = module in quickly if kind == SMALLEST else module == "srm" and kind != "resnet50"
        cells.append(pytest.param(kind, module, marks=[] if quick else pytest.mark.slow))
    return pytest.mark.parametrize(("kind", "module"), cells)


def images(count: int = 2, data_format: str = "channels_last") -> np.ndarray:
    return to_format(feature_map((count, *SHAPE)), data_format)


@every_network(*LARGER)
def test_output_is_a_distribution_and_every_weight_gets_a_gradient(kind, module):
    model = small_network(kind, module)
    randomize(model)
    upstream = np.random.default_rng(1).normal(size=(4, 5)).astype("float32")
    y, dx, dw = layer_gradients(model, images(4), upstream, training=True)
    np.testing.assert_allclose(y.sum(axis=-1), 1.0, rtol=1e-5)
    assert np.any(dx != 0.0)
    for variable, gradient in zip(model.trainable_variables, dw, strict=True):
        assert gradient is not None, variable.path
        assert np.all(np.isfinite(gradient)), variable.path
        assert np.any(gradient != 0.0), variable.path


# What a file holds of each module is in `tests/layers/test_contract.py`.
@every_network(*LARGER[:3], quickly=["srm", "ge"])
def test_keras_file_round_trip(kind, module, tmp_path):
    model = small_network(kind, module)
    randomize(model)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert [layer.name for layer in loaded.layers] == [layer.name for layer in model.layers]
    for ours, theirs in zip(model.layers, loaded.layers, strict=True):
        if isinstance(ours, Recalibration):
            assert theirs.get_config() == ours.get_config()
    x = images()
    np.testing.assert_array_equal(ops.convert_to_numpy(loaded(x)), ops.convert_to_numpy(model(x)))


@every_network(LARGER[0], quickly=["srm", "ge"])
def test_weights_file_round_trip(kind, module, tmp_path):
    model = small_network(kind, module)
    randomize(model)
    model.save_weights(tmp_path / "model.weights.h5")
    same = small_network(kind, module, weights=str(tmp_path / "model.weights.h5"))
    np.testing.assert_array_equal(
        ops.convert_to_numpy(same(images())), ops.convert_to_numpy(model(images()))
    )
    assert_checkpoint_round_trip(model, small_network(kind, module), tmp_path / "checkpoint")


# XLA takes minutes for groups with channels first.
@every_network(*LARGER[:2], "ungrouped", quickly=[None, *FIRST])
def test_data_formats_compute_the_same(kind, module):
    last = small_network(kind, module, "channels_last")
    randomize(last)
    first = small_network(kind, module, "channels_first")
    for source, target in zip(last.weights, first.weights, strict=True):
        target.assign(source)
    np.testing.assert_allclose(
        ops.convert_to_numpy(first(images(2, "channels_first"))),
        ops.convert_to_numpy(last(images(2))),
        rtol=1e-4,
        atol=1e-5,
    )


@pytest.mark.parametrize(
    ("policy", "module"),
    [
        pytest.param(policy, m, marks=[] if m in quickly else pytest.mark.slow)
        for policy, quickly in (("mixed_float16", (None, *FIRST)), ("mixed_bfloat16", ["srm"]))
        for m in MODULES
    ],
)
def test_mixed_precision_gives_float32_predictions_near_those_of_float32(policy, module):
    wide = small_network(SMALLEST, module)
    randomize(wide)
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        mixed = small_network(SMALLEST, module)
    finally:
        keras.config.set_dtype_policy(before)
    mixed.set_weights(wide.get_weights())
    y = mixed(images(4))
    assert keras.backend.standardize_dtype(y.dtype) == "float32"
    np.testing.assert_allclose(
        ops.convert_to_numpy(y), ops.convert_to_numpy(wide(images(4))), atol=0.06
    )


@pytest.mark.parametrize("module", FIRST)
def test_a_network_of_neutral_modules_begins_as_the_one_without(module):
    plain, network = (small_network(SMALLEST, spec) for spec in (None, neutral(module)))
    randomize(plain)
    for layer in plain.layers:
        network.get_layer(layer.name).set_weights(layer.get_weights())
    np.testing.assert_array_equal(
        ops.convert_to_numpy(network(images())), ops.convert_to_numpy(plain(images()))
    )


@pytest.mark.parametrize("module", [None, "srm", "se", "eca", "cbam"])
def test_one_network_takes_images_of_any_size(module):
    model = CifarResNet(
        8,
        "basic",
        recalibration=module,
        input_shape=(None, None, 3),
        include_top=False,
        pooling="avg",
    )
    randomize(model)
    for side in (16, 27):
        features = model(feature_map((2, side, side, 3)))
        assert tuple(features.shape) == (2, 64)
        assert np.all(np.isfinite(ops.convert_to_numpy(features)))
