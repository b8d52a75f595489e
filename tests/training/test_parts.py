import keras
import numpy as np
import pytest

from srm_keras.models import CifarResNet
from srm_keras.models.head import head_of
from srm_keras.training.parts import depths_of, freeze, parts_of, rate_factors
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
    assert parts["conv1_bn"] == ("backbone", "stride1", "conv1")
    assert parts["conv3_1_shortcut_conv"] == ("backbone", "stride2", "conv3")
    assert parts["conv3_1_recalibration"] == ("backbone", "stride2", "conv3", "recalibration")
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


def test_patterns_name_layers_and_strides_where_names_tell_nothing():
    x = image = keras.Input((16, 16, 3))
    for number, strides in enumerate((4, 1, 2)):
        x = keras.layers.Conv2D(2, 3, strides, padding="same", name=f"conv2d_{number}")(x)
        gates = keras.layers.GlobalAveragePooling2D(keepdims=True, name=f"mean_{number}")(x)
        x = x * keras.layers.Conv2D(2, 1, name=f"gates_{number}")(gates)
    x = keras.layers.GlobalAveragePooling2D(name="pool")(x)
    model = keras.Model(image, keras.layers.Dense(2, name="dense")(x))
    parts = parts_of(model, ("conv2d_[01]", "conv*", "d*"))
    assert parts["conv2d_0"] == ("backbone", "stride4", "conv2d", "conv*", "conv2d_[01]")
    assert parts["gates_1"] == ("backbone", "stride4", "gates")
    assert parts["conv2d_2"] == ("backbone", "stride8", "conv2d", "conv*")
    assert parts["dense"] == ("head", "d*")
    factors = rate_factors(model, {"stride4": 0.5, "conv2d_[12]": 3.0})
    assert factors["conv2d_0/kernel"] == factors["gates_1/kernel"] == 0.5
    assert factors["conv2d_1/kernel"] == factors["conv2d_2/bias"] == 3.0
    assert not [path for path in factors if path.startswith(("gates_2", "dense"))]
    assert freeze(model, ("gates_*",), new=()) == ["gates_0", "gates_1", "gates_2"]
    with pytest.raises(
        ValueError, match=r"must name parts .*such as 'block4\*'. Received: 'door\*'"
    ):
        freeze(model, ("door*",), new=())


def test_new_layers_stay_trainable(network):
    frozen = freeze(network, ("backbone",), new=("conv2_1_recalibration", "logits"))
    assert trainable(network) == {"conv2_1_recalibration", "logits"}
    assert not {"conv2_1_recalibration", "logits"} & set(frozen)


@pytest.mark.parametrize(
    ("names", "new", "message"),
    [
        (
            ("covn1",),
            (),
            r"which are backbone, stride1, conv1, .*head, and .*Received: 'covn1' .* 'conv1'\?",
        ),
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


def test_each_block_learns_slower_than_the_next_one(network):
    """As with timm: the head has the whole rate, the last block `layer_decay` of it, …."""
    factors = rate_factors(network, {"recalibration": 3.0}, layer_decay=0.5)
    assert "logits/kernel" not in factors
    for depth, block in enumerate(("conv1", "conv2_1", "conv3_1", "conv4_1")):
        of_block = {p: v for p, v in factors.items() if p.startswith(f"{block}_")}
        assert of_block
        for path, factor in of_block.items():
            assert factor == 0.5 ** (4 - depth) * (3 if "recalibration" in path else 1)


def test_blocks_are_found_in_the_names_of_others_and_else_by_stride():
    names = [
        *("Conv1", "bn_Conv1", "expanded_conv_project", "block_1_expand", "downsampling"),
        *("block_1_project_BN", "block2a_se_reduce", "block2b_project_bn", "Conv_1"),
    ]
    expected = [0, 0, 1, 2, 2, 2, 3, 4, 5]
    assert depths(names) == dict(zip([*names, "dense"], [*expected, 6], strict=True))
    names = ["net_stage_0_block_0_norm", "net_stage_0_block_1_conv", "expanded_conv_4_expand"]
    names += [
        "expanded_conv_4_squeeze_excite_conv_1",
        "conv_dw_7_bn",
        "conv_pw_7",
        "conv2_block11_2_conv",
    ]
    assert list(depths(names).values()) == [0, 1, 2, 2, 3, 3, 4, 5]
    assert list(depths(["a", "b", "c", "d"], strides=(2, 1, 2, 1)).values()) == [0, 0, 1, 1, 2]


def depths(names, strides=None):
    x = image = keras.Input((32, 32, 1))
    for name, step in zip(names, strides or [1] * len(names), strict=True):
        x = keras.layers.Conv2D(1, 1, step, name=name)(x)
    x = keras.layers.Dense(2, name="dense")(keras.layers.Flatten()(x))
    return depths_of(keras.Model(image, x))
