"""Synchronized and local batch norms, found wherever they are."""

import keras
import numpy as np
import pytest

from srm_keras import layers, models
from srm_keras.training.distribution import (
    assign_local,
    batch_norms,
    inference_state,
    local_values,
    set_synchronized,
)

SHAPE = (16, 16, 3)


@pytest.mark.parametrize("spec", [None, "srm", {"name": "ge", "params": "theta"}, "cbam"])
def test_every_batch_norm_of_a_network_is_found(spec):
    model = models.build(
        "cifar_resnet", depth=8, block="basic", recalibration=spec, input_shape=SHAPE
    )
    found = {variable.path for layer in batch_norms(model) for variable in layer.variables}
    moving = {v.path for v in model.non_trainable_variables if "moving" in v.path}
    assert moving
    assert moving == {path for path in found if "moving" in path}


def test_nested_models_are_searched():
    inner = keras.Sequential([keras.Input(SHAPE), keras.layers.BatchNormalization()])
    inputs = keras.Input(SHAPE)
    model = keras.Model(inputs, layers.SRM(name="srm")(inner(inputs)))
    assert set(batch_norms(model)) == {inner.layers[0], model.get_layer("srm").bn}


def test_saved_files_do_not_say_synchronized(tmp_path):
    inputs = keras.Input(SHAPE)
    model = keras.Model(inputs, keras.layers.BatchNormalization()(inputs))
    set_synchronized(model, True)
    assert batch_norms(model)[0].synchronized
    with inference_state(model) as saved:
        saved.save(tmp_path / "model.keras")
    assert batch_norms(model)[0].synchronized
    assert not keras.saving.load_model(tmp_path / "model.keras").layers[1].synchronized
    set_synchronized(model, False)
    assert not batch_norms(model)[0].synchronized


def test_replicas_get_their_own_values_back_after_an_error(mirrored):
    with mirrored.scope():
        layer = keras.layers.BatchNormalization()
        layer.build((None, 2))
        model = keras.Sequential([keras.Input((2,)), layer])
    own = [np.array([1.0, np.float32(0.1)], "float32"), np.array([2.0, 0.7], "float32")]
    assign_local(layer.moving_mean, own)
    with pytest.raises(KeyError):
        _fail_within(model, [1.5, 0.4])
    for before, after in zip(own, local_values(layer.moving_mean), strict=True):
        np.testing.assert_array_equal(before, after)


def _fail_within(model, mean):
    with inference_state(model):
        for value in local_values(batch_norms(model)[0].moving_mean):
            np.testing.assert_allclose(value, mean, rtol=1e-7)
        raise KeyError
