import keras
import numpy as np
import pytest

from srm_keras.models import CifarResNet
from srm_keras.models.head import head_of
from srm_keras.training.parts import freeze, parts_of, rate_factors
from tests.support.weights import randomize


@pytest.fixture
def network():
    model = CifarResNet(8, "basic", recalibration="srm", input_shape=(8, 8, 3))
    randomize(model)
    return model


def trainable(model):
    return {layer.name for layer in model.layers if layer.trainable_variables}


def test_every_layer_with_weights_has_its_parts(network):
    parts = parts_of(network)
    assert set(parts) == {layer.name for layer in network.layers if layer.weights}
    assert parts["conv1_bn"] == ("backbone", "conv1")
    assert parts["conv3_1_shortcut_conv"] == ("backbone", "conv3")
    assert parts["conv3_1_recalibration"] == ("backbone", "conv3", "recalibration")
    assert parts["logits"] == ("head",)
    assert head_of(network) == "logits"
    assert head_of(CifarResNet(8, include_top=False, input_shape=(8, 8, 3))) is None
    assert head_of(keras.Sequential([keras.Input((4,)), keras.layers.ReLU()])) is None


def test_a_frozen_stage_computes_in_training_what_it_computes_in_inference(network):
    frozen = freeze(network, ("conv1", "conv2"), new=())
    assert set(frozen) == {n for n in parts_of(network) if n.startswith(("conv1", "conv2"))}
    assert trainable(network) == set(parts_of(network)) - set(frozen)
    stage = keras.Model(network.input, network.get_layer("conv2_1_out").output)
    images = np.random.default_rng(0).normal(size=(4, 8, 8, 3)).astype("float32")
    before = [weight.numpy() for weight in stage.weights]
    np.testing.assert_array_equal(stage(images, training=True), stage(images, training=False))
    for weight, value in zip(stage.weights, before, strict=True):
        np.testing.assert_array_equal(weight.numpy(), value)


def test_new_layers_stay_trainable(network):
    frozen = freeze(network, ("backbone",), new=("conv2_1_recalibration", "logits"))
    assert trainable(network) == {"conv2_1_recalibration", "logits"}
    assert not {"conv2_1_recalibration", "logits"} & set(frozen)


@pytest.mark.parametrize(
    ("names", "new", "message"),
    [
        (("covn1",), (), r"which are backbone, conv1, .*head. Received: 'covn1' .* 'conv1'\?"),
        (("head",), ("logits",), r"Received: 'head', all of which is new"),
        (("backbone", "head"), (), r"`freeze` must leave something to train"),
    ],
)
def test_what_cannot_be_frozen_is_named(names, new, message, network):
    with pytest.raises(ValueError, match=message):
        freeze(network, names, new)


def test_the_narrowest_part_decides_on_the_rate(network):
    freeze(network, ("conv1",), new=())
    factors = rate_factors(network, {"backbone": 0.1, "conv3": 0.3, "recalibration": 2, "head": 5})
    paths = {variable.path for variable in network.trainable_variables}
    assert set(factors) == paths
    assert factors["conv2_1_1_conv/kernel"] == 0.1
    assert factors["conv3_1_1_bn/gamma"] == 0.3
    assert {v for p, v in factors.items() if "recalibration" in p} == {2.0}
    assert factors["logits/bias"] == 5
    assert set(rate_factors(network, {"head": 0.5})) == {"logits/kernel", "logits/bias"}
    assert rate_factors(network, {}) == {}
    with pytest.raises(ValueError, match=r"`learning_rate.multipliers` must name.*'logits'"):
        rate_factors(network, {"logits": 0.5})
