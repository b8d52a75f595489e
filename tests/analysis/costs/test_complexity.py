import csv
import dataclasses
import inspect
import json
import math

import keras
import numpy as np
import pytest
import tensorflow as tf

from srm_keras.analysis import Cost, complexity, gate_model
from srm_keras.models import (
    AdaINStylizer,
    CifarResNet,
    ResNet,
    ResNet18,
    ResNet50,
    StylizationNet,
    as_backbone,
    feature_network,
    insert_recalibration,
    pyramid_outputs,
)
from tests.support.networks import VARIANT


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


def test_groups_and_deep_stems_are_counted_as_pytorch_has_them():
    """Products of every convolution by the shapes of PyTorch's weights; nothing is computed."""
    torch = pytest.importorskip("torch")
    from tests.support.torch_resnet import TorchResNet, Variant

    options = Variant((24, 32, 64), "conv", True, groups=4, group_width=8, antialias=True)
    products = []

    def count(layer, inputs, output):
        places = output.numel() if layer.weight.ndim == 4 else output.shape[0] * layer.out_features
        products.append(places * layer.weight[0].numel())

    with torch.device("meta"):
        network = TorchResNet("bottleneck", (1, 1, 1, 1), "torchvision", 5, variant=options)
        for layer in network.modules():
            if isinstance(layer, torch.nn.Conv2d | torch.nn.Linear):
                layer.register_forward_hook(count)
        network(torch.zeros(1, 3, 64, 64))
    cost = complexity(ResNet(**VARIANT, classes=5), (64, 64, 3))
    assert cost.total.multiply_adds == sum(products)
    assert list(cost.blocks) == ["conv1", "conv2_1", "conv3_1", "conv4_1", "conv5_1", "head"]
    assert not cost.unknown


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


def test_a_layer_that_is_called_twice_works_twice_and_is_stored_once():
    x = keras.Input((4, 5, 3))
    conv = keras.layers.Conv2D(3, 1, name="conv")
    conv(keras.Input((8, 8, 3)))  # a call outside of the network costs nothing
    result = complexity(keras.Model(x, keras.layers.Add()([conv(conv(x)), conv(x)])))
    assert result.layers[0].cost.multiply_adds == 3 * 20 * 9
    assert result.layers[0].cost.bytes_read == 4 * 3 * (60 + 12)
    assert result.total.trainable == 12


def test_layers_of_a_network_within_a_network_stand_under_their_path(small):
    x = keras.Input((16, 16, 3))
    outer = complexity(keras.Model(x, small(x)))
    assert [layer.name for layer in outer.layers] == [
        f"{small.name}/{layer.name}" for layer in complexity(small).layers
    ]
    assert outer.total == complexity(small).total
    assert outer.stages == complexity(small).stages


def test_operations_count_as_layers_do():
    x = keras.Input((6, 7, 4))
    kernel = np.ones((3, 3, 4, 5), "float32")
    y = keras.ops.relu(keras.ops.conv(x, kernel) * 2.0 + 1.0)
    y = keras.ops.matmul(keras.ops.reshape(y, (-1, 20, 5)), np.ones((5, 6), "float32"))
    total = complexity(keras.Model(x, y)).total
    assert total.multiply_adds == 4 * 5 * 5 * 36 + 20 * 5 * 6
    assert total.trainable == total.non_trainable == 0


class Doubling(keras.layers.Layer):
    def build(self, input_shape):
        self.add_weight(shape=(3,))

    def call(self, inputs):
        return 2 * inputs

    def compute_output_shape(self, input_shape):
        return input_shape


def test_what_is_unknown_is_named_and_counts_its_parameters_alone(tmp_path):
    model = CifarResNet(8, recalibration=Doubling, input_shape=(16, 16, 3))
    x = keras.layers.LSTM(2, name="lstm")(
        keras.layers.Reshape((64, 3))(inner := keras.Input((8, 8, 3)))
    )
    x = keras.ops.einsum("ij,ij->i", x, x)
    other = keras.Model(inner, x, name="odd")
    plain = complexity(CifarResNet(8, input_shape=(16, 16, 3))).total
    result = complexity(model)
    modules = [f"conv{stage}_1_recalibration (Doubling)" for stage in (2, 3, 4)]
    assert result.unknown == modules
    assert result.total == dataclasses.replace(plain, trainable=plain.trainable + 9)
    assert result.to_text().endswith(f"0 operations and bytes counted: {', '.join(modules)}")
    result.to_json(tmp_path / "all.json")
    assert json.loads((tmp_path / "all.json").read_text())["unknown"] == modules
    outer = keras.Input((8, 8, 3))
    odd = complexity(keras.Model(outer, other(outer)))
    assert odd.unknown == ["odd/lstm (LSTM)", "odd/einsum (Einsum)"]
    assert odd.total.trainable == other.count_params() > 0


def in_groups(model) -> int:
    """Multiply-adds of grouped convolutions, which Keras compiles and the profiler does not see."""
    return sum(
        math.prod(layer.output.shape[1:]) * math.prod(layer.kernel.shape[:-1])
        for layer in model.layers
        if type(layer) is keras.layers.Conv2D and layer.groups > 1
    )


APPLICATIONS = {
    name: builder
    for name, builder in vars(keras.applications).items()
    if inspect.isfunction(builder)
}
FEW = ("MobileNet", "MobileNetV3Small", "VGG16")  # built in a second


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[] if name in FEW else pytest.mark.slow) for name in APPLICATIONS],
)
def test_every_network_of_keras_applications_is_counted(name):
    """Beside TensorFlow's profiler; no layer is unknown."""
    side = 75 if "Inception" in name or name == "Xception" else 32
    model = APPLICATIONS[name](include_top=False, weights=None, input_shape=(side, side, 3))
    result = complexity(model)
    assert not result.unknown
    assert result.total.multiply_adds == profiled(model) + in_groups(model) > 1e6
    assert result.total.trainable + result.total.non_trainable == model.count_params()


def mirrored(normalization):
    return StylizationNet(normalization, "srm", filters=4, blocks=1, input_shape=(24, 20, 3))


@pytest.mark.parametrize(
    ("make", "options"),
    [
        (lambda: mirrored("instance"), {}),
        (lambda: mirrored("batch"), {}),
        (lambda: AdaINStylizer("block2_conv1", weights=None), {"input_shape": (16, 16, 3)}),
        (lambda: feature_network(["block1_conv2"], weights=None), {"input_shape": (16, 16, 3)}),
        (lambda: CifarResNet(8, "basic", shortcut="identity"), {}),
        (lambda: insert_recalibration(CifarResNet(8, "basic"), "se", neutral=True), {}),
        (lambda: as_backbone(ResNet18(include_top=False)), {"input_shape": (32, 32, 3)}),
    ],
    ids=["instance", "batch", "adain", "features", "identity", "neutral", "backbone"],
)
def test_every_kind_of_network_of_this_package_is_counted(make, options):
    result = complexity(make(), **options)
    assert not result.unknown
    assert result.total.multiply_adds > 0


def test_transposed_and_separable_convolutions_are_those_of_the_profiler():
    x = image = keras.Input((9, 8, 6))
    x = keras.layers.SeparableConv2D(5, 3, depth_multiplier=2)(x)
    x = keras.layers.Conv2DTranspose(4, 3, strides=2)(x)
    x = keras.layers.Conv2D(4, 3, groups=2, dilation_rate=2)(x)
    model = keras.Model(image, keras.layers.Dense(3)(x))
    pixels = 7 * 6
    expected = pixels * (9 * 12 + 12 * 5) + pixels * 5 * 9 * 4
    assert [layer.cost.multiply_adds for layer in complexity(model).layers][:2] == [
        pixels * (9 * 12 + 12 * 5),
        expected - pixels * (9 * 12 + 12 * 5),
    ]
    assert complexity(model).total.multiply_adds == expected + 11 * 9 * (9 * 2 * 4 + 4 * 3)


BAD_MODELS = [
    (lambda: keras.Sequential([keras.layers.Dense(2)], name="line"), "'line', which is not built"),
    (lambda: "resnet50", "Received: model='resnet50'"),
    (lambda: keras.Model(), "a Model with a `call` of its own"),
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
