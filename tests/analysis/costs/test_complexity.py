import csv
import json

import keras
import pytest
import tensorflow as tf

from srm_keras.analysis import Cost, complexity, gate_model
from srm_keras.models import CifarResNet, ResNet18, ResNet50, pyramid_outputs


@pytest.fixture(scope="module")
def srm_resnet50():
    return complexity(ResNet50(recalibration="srm"))


@pytest.fixture(scope="module")
def small():
    return CifarResNet(depth=8, recalibration="se", classes=5, input_shape=(16, 16, 3))


def test_resnet50_with_the_stride_on_the_3x3(srm_resnet50):
    total = srm_resnet50.total
    assert total.trainable == 25_617_448
    assert total.non_trainable == 53_120 + 2 * 15_104
    assert round(total.multiply_adds / 1e9, 3) == 4.089
    assert round(total.module_operations / 1e9, 2) == 0.02


def test_one_block_by_hand(srm_resnet50):
    pixels = 56 * 56
    block = srm_resnet50.blocks["conv2_2"]
    weights = 256 * 64 + 9 * 64 * 64 + 64 * 256
    assert block.multiply_adds == pixels * weights
    assert block.module_operations == 4 * pixels * 256 + 2 * 256
    assert block.trainable == weights + 2 * (64 + 64 + 256) + (2 + 2) * 256
    assert block.non_trainable == 2 * (64 + 64 + 256) + 2 * 256


def test_the_first_block_of_a_stage_has_the_shortcut_and_the_stride(srm_resnet50):
    block = srm_resnet50.blocks["conv3_1"]
    large, small = 56 * 56, 28 * 28
    branch = large * 256 * 128 + small * 9 * 128 * 128 + small * 128 * 512
    assert block.multiply_adds == branch + small * 256 * 512


def test_stages_and_blocks_in_network_order(srm_resnet50):
    assert list(srm_resnet50.stages) == ["conv1", "conv2", "conv3", "conv4", "conv5", "head"]
    blocks = list(srm_resnet50.blocks)
    assert blocks[0] == "conv1"
    assert blocks[-1] == "head"
    assert blocks[1:-1] == [
        f"conv{stage}_{block}"
        for stage, count in ((2, 3), (3, 4), (4, 6), (5, 3))
        for block in range(1, count + 1)
    ]
    stem = srm_resnet50.stages["conv1"]
    assert (stem.multiply_adds, stem.trainable) == (112 * 112 * 7 * 7 * 3 * 64, 49 * 3 * 64 + 128)
    assert srm_resnet50.stages["head"].multiply_adds == 2048 * 1000


def test_every_sum_is_the_total(srm_resnet50):
    total = srm_resnet50.total
    assert sum(srm_resnet50.stages.values(), Cost()) == total
    assert sum(srm_resnet50.blocks.values(), Cost()) == total
    for per in ("layer", "block", "stage"):
        assert sum(row["operations"] for row in srm_resnet50.to_rows(per)) == total.operations


def profiled(model) -> int:
    """Multiply-adds of convolutions and matrix products in the traced graph, by TensorFlow."""
    traced = tf.function(lambda x: model(x, training=False))
    image = tf.TensorSpec((1, *model.input_shape[1:]))
    graph = traced.get_concrete_function(image).graph
    profiler = tf.compat.v1.profiler
    options = profiler.ProfileOptionBuilder(profiler.ProfileOptionBuilder.float_operation())
    profile = profiler.profile(
        graph, cmd="op", options=options.with_empty_output().order_by("float_ops").build()
    )
    kinds: dict[str, int] = {}
    while profile.children:
        profile = profile.children[0]
        kinds[profile.name] = profile.float_ops
    assert kinds["Conv2D"] > 0
    weighted = ("Conv2D", "MatMul", "DepthwiseConv2dNative")
    return sum(kinds.get(kind, 0) for kind in weighted) // 2


@pytest.mark.parametrize("block", ["basic", "bottleneck"])
@pytest.mark.parametrize(
    ("spec", "weighted_module_operations"),
    [
        (None, lambda side, channels: 0),
        ("se", lambda side, channels: 2 * channels * max(channels // 16, 1)),
        # Its kernel is as large as the map: a product and a sum in the graph, no convolution.
        ("ge", lambda side, channels: 0),
    ],
)
def test_agrees_with_the_tensorflow_profiler(block, spec, weighted_module_operations):
    model = CifarResNet(8, block, recalibration=spec, classes=7, input_shape=(16, 16, 3))
    widths = (16, 32, 64) if block == "basic" else (64, 128, 256)
    in_modules = sum(map(weighted_module_operations, (16, 8, 4), widths))
    assert complexity(model).total.multiply_adds + in_modules == profiled(model)


def test_parameters_are_those_of_keras(small):
    total = complexity(small).total
    assert total.trainable + total.non_trainable == small.count_params()
    assert total.trainable == sum(weight.numpy().size for weight in small.trainable_weights)


def test_frozen_layers_are_not_trainable(small):
    frozen = keras.models.clone_model(small)
    frozen.get_layer("conv4_1_2_conv").trainable = False
    before, after = complexity(small).total, complexity(frozen).total
    assert before.trainable - after.trainable == 9 * 64 * 64
    assert after.non_trainable - before.non_trainable == 9 * 64 * 64


@pytest.mark.parametrize("spec", ["srm", "cbam", {"name": "ge", "extent": 4}])
def test_channels_first_costs_the_same(spec):
    last = CifarResNet(8, recalibration=spec, input_shape=(16, 24, 3), data_format="channels_last")
    first = CifarResNet(
        8, recalibration=spec, input_shape=(3, 16, 24), data_format="channels_first"
    )
    assert complexity(first).blocks == complexity(last).blocks


def test_an_unknown_size_is_given_by_input_shape():
    options = {"recalibration": "srm", "include_top": False, "pooling": "avg"}
    anywhere = ResNet18(input_shape=(None, None, 3), **options)
    fixed = ResNet18(input_shape=(64, 96, 3), **options)
    assert complexity(anywhere, (64, 96, 3)).layers == complexity(fixed).layers
    assert complexity(fixed, (128, 96, 3)).total.multiply_adds == pytest.approx(
        2 * complexity(fixed).total.multiply_adds
    )


def test_other_models_of_the_same_layers_do_not_disturb(small):
    before = complexity(small)
    gate_model(small)
    outer = keras.Input((16, 16, 3))
    keras.Model(outer, small(outer))
    backbone = complexity(keras.Model(small.input, pyramid_outputs(small)))
    assert complexity(small) == before
    assert "head" not in backbone.stages
    assert backbone.stages["conv3"] == before.stages["conv3"]


def shared_layer():
    x = keras.Input((4, 4, 3))
    conv = keras.layers.Conv2D(3, 1)
    return keras.Model(x, conv(conv(x)), name="twice")


def shared_branch():
    x = keras.Input((4, 4, 3))
    conv = keras.layers.Conv2D(3, 1)
    return keras.Model(x, keras.layers.Add()([conv(x), conv(keras.layers.ReLU()(x))]))


def called_elsewhere_before():
    conv = keras.layers.Conv2D(3, 1)
    conv(keras.Input((4, 4, 3)))
    x = keras.Input((4, 4, 3))
    return keras.Model(x, conv(x))


def two_inputs():
    inputs = [keras.Input((4, 4, 3)), keras.Input((4, 4, 3))]
    return keras.Model(inputs, keras.layers.Add()(inputs), name="two")


def nested():
    x = keras.Input((16, 16, 3))
    return keras.Model(x, CifarResNet(8, input_shape=(16, 16, 3), name="inner")(x))


def bare_operation():
    x = keras.Input((4, 4, 3))
    return keras.Model(x, keras.ops.multiply(x, x))


class Doubling(keras.layers.Layer):
    def call(self, inputs):
        return 2 * inputs

    def compute_output_shape(self, input_shape):
        return input_shape


BAD_MODELS = [
    (lambda: keras.Sequential([keras.layers.Dense(2)], name="line"), "'line' of class Sequential"),
    (lambda: "resnet50", "Received: 'resnet50' of class str"),
    (shared_layer, "call each of its layers once, .* Received: 'twice'"),
    (shared_branch, "call each of its layers once"),
    (called_elsewhere_before, "call each of its layers once, and before any other model does"),
    (two_inputs, "must have one input. Received: 'two' with 2"),
    (nested, "without nested models and bare operations. Received: 'inner'"),
    (bare_operation, "without nested models and bare operations"),
    (
        lambda: CifarResNet(8, recalibration=Doubling),
        "Received: layer 'conv2_1_recalibration' of class Doubling, which is no Recalibration",
    ),
]


@pytest.mark.parametrize(("make", "message"), BAD_MODELS)
def test_bad_models(make, message):
    with pytest.raises(ValueError, match=message):
        complexity(make())


@pytest.mark.parametrize("shape", [None, (32, 32), (32, None, 3), (32, 32, 4), (0, 32, 3), 32])
def test_bad_input_shapes(shape):
    model = CifarResNet(8, input_shape=(None, None, 3))
    with pytest.raises(ValueError, match="`input_shape` must be a static shape of one input of"):
        complexity(model, shape)


def test_bad_level(small):
    with pytest.raises(ValueError, match=r"`per` must be one of .* \(did you mean 'block'\?\)"):
        complexity(small).to_rows("blocks")


def test_files_hold_the_same_numbers(small, tmp_path):
    result = complexity(small)
    result.to_csv(tmp_path / "layers.csv")
    result.to_json(tmp_path / "all.json")
    with (tmp_path / "layers.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["layer"] for row in rows] == [layer.name for layer in result.layers]
    assert sum(int(row["trainable"]) for row in rows) == result.total.trainable
    logits = next(row for row in rows if row["layer"] == "logits")
    assert (logits["type"], logits["output_shape"], logits["multiply_adds"]) == (
        "Dense",
        "5",
        str(5 * 256),
    )
    read = json.loads((tmp_path / "all.json").read_text())
    assert read == result.to_dict()
    assert read["total"]["operations"] == result.total.operations


def test_the_text_ends_in_the_total(small):
    result = complexity(small)
    lines = result.to_text("block").splitlines()
    assert lines[0] == "cifar_resnet8_bottleneck, one image of 16×16×3"
    assert lines[-1].split()[0] == "total"
    assert lines[-1].split()[-4] == f"{result.total.operations:,}"
    assert lines[-1].split()[-1] == f"{result.total.bytes_moved:,}"
    assert len(lines) == len(result.blocks) + 5
