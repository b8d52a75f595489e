"""Names, placement, specs by stage and block, pyramid features, and the catalogue."""

import functools
import inspect
import json
import re

import keras
import numpy as np
import pytest
from keras import ops

import srm_keras
from srm_keras.data import Preprocessing
from srm_keras.interop import load_preset, save_preset
from srm_keras.layers import SRM, Recalibration, SqueezeExcite, StochasticDepth
from srm_keras.models import (
    CifarResNet,
    ResNet,
    ResNet18,
    ResNet34,
    ResNet50,
    ResNet101,
    ResNet152,
    StylizationNet,
    build,
    insert_recalibration,
    list_models,
    pyramid_outputs,
)
from srm_keras.models.catalog import check_build
from srm_keras.models.pyramid import as_backbone
from srm_keras.models.residual import IdentityShortcut
from srm_keras.training.parts import parts_of
from srm_keras.training.run_folder import parameter_counts
from tests.support.weights import feature_map, randomize

SMALL = {"classes": 5, "input_shape": (32, 32, 3)}
LEVELS = range(2, 6)


def modules_of(model) -> dict[str, Recalibration]:
    return {layer.name: layer for layer in model.layers if isinstance(layer, Recalibration)}


def test_signature_follows_keras_applications():
    expected = [
        "include_top",
        "weights",
        "input_tensor",
        "input_shape",
        "pooling",
        "classes",
        "classifier_activation",
    ]
    assert list(inspect.signature(ResNet50).parameters)[:7] == expected
    ours = inspect.signature(ResNet50).parameters
    theirs = inspect.signature(keras.applications.ResNet50).parameters
    for name in expected:
        if name != "weights":  # there is no pretrained default here
            assert ours[name].default == theirs[name].default
    assert ResNet18(True, None, None, (64, 64, 3), None, 7).output_shape == (None, 7)


@pytest.mark.parametrize(
    ("network", "depth"),
    [(ResNet18, 18), (ResNet34, 34), (ResNet50, 50), (ResNet101, 101), (ResNet152, 152)],
)
def test_every_depth_shows_its_arguments_and_no_others(network, depth):
    shown = inspect.signature(network).parameters
    _, _, *arguments = inspect.signature(ResNet).parameters.values()
    assert list(shown.values()) == arguments
    assert network.__name__ == f"ResNet{depth}"
    assert network.__doc__.startswith(f"Build ResNet-{depth} with a recalibration module")
    documented = re.findall(r"^        (\w+): ", network.__doc__, re.MULTILINE)
    assert documented[: len(shown)] == list(shown)


def test_a_type_checker_sees_the_arguments(tmp_path):
    mypy = pytest.importorskip("mypy.api")
    script = tmp_path / "script.py"
    script.write_text(
        "from srm_keras.models import ResNet18, ResNet152\n"
        "ResNet18(classes=10, recalibration=[None, 'se', 'srm', ['srm', None]], stride_in='1x1')\n"
        "ResNet152(clases=10)\n"
        "ResNet18(classes='ten')\n"
    )
    found, _, _ = mypy.run([str(script), "--hide-error-context", "--no-error-summary"])
    unknown, wrong = found.splitlines()
    assert 'script.py:3: error: Unexpected keyword argument "clases"' in unknown
    assert 'script.py:4: error: Argument "classes" has incompatible type "str"' in wrong


def test_numbers_of_numpy_and_paths_of_any_kind_are_taken(tmp_path):
    shape = (np.int64(8), np.int32(8), np.uint8(3))
    given = {"classes": np.int64(5), "input_shape": shape, "recalibration": "srm"}
    model = CifarResNet(np.int64(8), "basic", **given)
    assert json.loads(model.to_json())["config"]["layers"][0]["config"]["batch_shape"][1:] == [
        8,
        8,
        3,
    ]
    randomize(model)

    class Path:
        """What is no ``pathlib.Path``, but says which path it is."""

        def __fspath__(self):
            return str(tmp_path / "net.weights.h5")

    model.save_weights(tmp_path / "net.weights.h5")
    same = CifarResNet(8, "basic", weights=Path(), **given)
    for ours, theirs in zip(same.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    stylizer = StylizationNet(filters=np.int64(4), blocks=np.int64(1))
    assert stylizer.get_layer("conv1_conv").filters == 4


def test_every_block_has_a_module_with_the_papers_name():
    model = CifarResNet(56, recalibration="srm")
    expected = [f"conv{stage}_{unit}_recalibration" for stage in (2, 3, 4) for unit in range(1, 10)]
    assert list(modules_of(model)) == expected  # "conv2-6 (64 channels)" of the paper's figure 7
    assert model.get_layer("conv2_6_recalibration").output.shape == (None, 32, 32, 64)


def test_the_module_sits_between_the_last_batch_norm_and_the_addition():
    model = ResNet(blocks=(1, 2, 1, 1), recalibration="srm", **SMALL)
    module = model.get_layer("conv3_2_recalibration")
    assert module.input is model.get_layer("conv3_2_3_bn").output
    added = model.get_layer("conv3_2_add").input
    assert added[0] is model.get_layer("conv3_1_out").output  # the shortcut is left alone
    assert added[1] is module.output


@pytest.mark.parametrize(("stride_in", "expected"), [("3x3", (1, 2)), ("1x1", (2, 1))])
def test_stride_placement(stride_in, expected):
    model = ResNet(blocks=(1, 1, 1, 1), stride_in=stride_in, **SMALL)
    strides = [model.get_layer(f"conv3_1_{index}_conv").strides[0] for index in (1, 2)]
    assert tuple(strides) == expected


def test_a_deep_stem_strides_once_before_its_pool():
    model = ResNet("basic", (1, 1, 1, 1), stem="deep_tiered", stem_pool="conv", **SMALL)
    convolutions = [layer for layer in model.layers if isinstance(layer, keras.layers.Conv2D)]
    names = ["conv1_1_conv", "conv1_2_conv", "conv1_3_conv", "conv1_pool_conv"]
    assert [layer.name for layer in convolutions[:4]] == names
    assert [layer.filters for layer in convolutions[:4]] == [24, 32, 64, 64]
    assert [layer.strides[0] for layer in convolutions[:4]] == [2, 1, 1, 2]
    assert model.get_layer("conv2_1_1_conv").input.shape[1:3] == (8, 8)
    assert not any(isinstance(layer, keras.layers.MaxPooling2D) for layer in model.layers)
    assert list(pyramid_outputs(model)) == [f"P{level}" for level in LEVELS]
    stem = [name for name, parts in parts_of(model).items() if "conv1" in parts]
    assert len(stem) == 8


def test_average_shortcuts_pool_where_they_stride_and_only_there():
    """Windows of 2×2, the last one of an odd side cut: no zeros come into the means."""
    model = ResNet18(shortcut="average", classes=5, input_shape=(70, 64, 3))
    pools = [layer.name for layer in model.layers if layer.name.endswith("shortcut_pool")]
    assert pools == [f"conv{stage}_1_shortcut_pool" for stage in (3, 4, 5)]
    pool = model.get_layer("conv4_1_shortcut_pool")
    assert pool.input is model.get_layer("conv3_2_out").output
    assert model.get_layer("conv4_1_shortcut_conv").strides == (1, 1)
    x = feature_map((1, 9, 8, 128))
    expected = [
        [x[0, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2].mean((0, 1)) for j in range(4)]
        for i in range(5)
    ]
    np.testing.assert_allclose(ops.convert_to_numpy(pool(x))[0], expected, rtol=1e-5, atol=1e-6)


def test_groups_and_their_width():
    model = ResNet(blocks=(1, 1, 1, 1), cardinality=4, base_width=8, **SMALL)
    for stage, width in zip((2, 3, 4, 5), (32, 64, 128, 256), strict=True):
        grouped = model.get_layer(f"conv{stage}_1_2_conv")
        assert (grouped.groups, grouped.filters) == (4, width)
        assert grouped.kernel.shape == (3, 3, width // 4, width)
        assert model.get_layer(f"conv{stage}_1_out").output.shape[-1] == 256 * 2 ** (stage - 2)


def test_specs_by_stage_and_by_block():
    spec = [None, "se", {"name": "srm", "pooling": ["avg"]}, ["srm", None]]
    modules = modules_of(ResNet18(recalibration=spec, **SMALL))
    assert sorted(modules) == [
        "conv3_1_recalibration",
        "conv3_2_recalibration",
        "conv4_1_recalibration",
        "conv4_2_recalibration",
        "conv5_1_recalibration",
    ]
    assert isinstance(modules["conv3_1_recalibration"], SqueezeExcite)
    assert modules["conv4_2_recalibration"].pooling == ("avg",)
    assert isinstance(modules["conv5_1_recalibration"], SRM)


def test_any_layer_can_be_the_module():
    model = CifarResNet(8, recalibration=lambda name: keras.layers.Dropout(0.5, name=name))
    assert isinstance(model.get_layer("conv2_1_recalibration"), keras.layers.Dropout)


@pytest.mark.parametrize("module", ["srm", "ge", "cbam"])
def test_every_gate_is_reachable(module):
    model = CifarResNet(14, "basic", recalibration=module, **SMALL)
    randomize(model)
    x = feature_map((2, 32, 32, 3))
    gates = srm_keras.analysis.gate_model(model)(x)
    assert list(gates) == list(modules_of(model))
    for name, layer in modules_of(model).items():
        reader = keras.Model(model.input, [layer.input, layer.output])
        inputs, outputs = (ops.convert_to_numpy(tensor) for tensor in reader(x))
        np.testing.assert_allclose(
            outputs, inputs * ops.convert_to_numpy(gates[name]), rtol=1e-5, atol=1e-6
        )


def test_gates_of_a_plain_network_are_refused():
    with pytest.raises(ValueError, match=r"`model` must contain recalibration layers"):
        srm_keras.analysis.gate_model(CifarResNet(8))


def test_pyramid_outputs(tmp_path):
    model = ResNet18(include_top=False, recalibration="srm")
    outputs = pyramid_outputs(model)
    assert list(outputs) == ["P2", "P3", "P4", "P5"]
    features = keras.Model(model.input, outputs)(np.zeros((1, 64, 96, 3), "float32"))
    shapes = {level: tuple(feature.shape) for level, feature in features.items()}
    assert shapes == {
        "P2": (1, 16, 24, 64),
        "P3": (1, 8, 12, 128),
        "P4": (1, 4, 6, 256),
        "P5": (1, 2, 3, 512),
    }
    small = CifarResNet(8, recalibration="srm")
    small.save(tmp_path / "model.keras")
    assert list(pyramid_outputs(keras.saving.load_model(tmp_path / "model.keras"))) == [
        "P0",
        "P1",
        "P2",
    ]
    first = CifarResNet(8, data_format="channels_first", input_shape=(3, None, None))
    assert list(pyramid_outputs(first)) == ["P0", "P1", "P2"]


def test_a_backbone_is_the_network_up_to_its_feature_maps(tmp_path):
    model = ResNet("basic", (1, 1, 1, 1), classes=5, recalibration="srm", input_shape=(64, 64, 3))
    randomize(model)
    backbone = as_backbone(model)
    assert backbone.pyramid_level_inputs == {f"P{level}": f"conv{level}_1_out" for level in LEVELS}
    assert {id(layer) for layer in backbone.layers} < {id(layer) for layer in model.layers}
    assert backbone.layers[-1].name == "conv5_1_out"
    x = feature_map((2, 64, 64, 3))
    backbone.save(tmp_path / "backbone.keras")
    loaded = keras.saving.load_model(tmp_path / "backbone.keras")
    assert loaded.pyramid_level_inputs == backbone.pyramid_level_inputs
    assert list(loaded.pyramid_outputs) == [f"P{level}" for level in LEVELS]
    for features in (backbone(x), loaded(x)):
        for level, name in backbone.pyramid_level_inputs.items():
            expected = keras.Model(model.input, model.get_layer(name).output)(x)
            np.testing.assert_array_equal(features[level], expected)


def test_a_backbone_of_a_foreign_network():
    base = keras.applications.ResNet50(weights=None, include_top=False)
    ends = {"P2": "conv2_block3_out", "P3": "conv3_block4_out"}
    ends |= {"P4": "conv4_block6_out", "P5": "conv5_block3_out"}
    assert as_backbone(base).pyramid_level_inputs == ends
    mobile = keras.applications.MobileNet(weights=None, input_shape=(64, 64, 3), alpha=0.25)
    recalibrated = insert_recalibration(mobile, "srm")
    chosen = {"P3": "conv_pw_5_relu_recalibration", "P4": "conv_pw_11_relu_recalibration"}
    outputs = as_backbone(recalibrated, chosen).pyramid_outputs
    assert {level: tensor.shape[1:3] for level, tensor in outputs.items()} == {
        "P3": (8, 8),
        "P4": (4, 4),
    }


@functools.cache
def small_resnet18():
    return ResNet18(input_shape=(64, 64, 3))


def backbone_with(**levels):
    return as_backbone(small_resnet18(), levels)


WRONG_BACKBONES = [
    (lambda: as_backbone(keras.Sequential()), r"`model` must know the shape"),
    (lambda: as_backbone(build("resnet18"), {}), r"`levels` must map levels"),
    (lambda: backbone_with(stage3="conv3_2_out"), r"`levels` must map levels.*stage3"),
    (lambda: backbone_with(P3="conv3_9_out"), r"must name layers of `model` itself.*no layer"),
    (lambda: backbone_with(P3="conv2_2_out"), r"8 times smaller.*'conv2_2_out'.*is 4 times"),
    (lambda: backbone_with(P3="predictions"), r"one four-dimensional map.*'predictions'"),
]


@pytest.mark.parametrize(("make", "message"), WRONG_BACKBONES)
def test_a_backbone_without_such_feature_maps_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_identity_shortcut_keeps_every_second_pixel_and_appends_zeros():
    x = feature_map((2, 5, 4, 3))
    layer = IdentityShortcut(7, 2, data_format="channels_last")
    y = ops.convert_to_numpy(layer(x))
    assert y.shape == layer.compute_output_shape(x.shape)
    np.testing.assert_array_equal(y[..., :3], x[:, ::2, ::2])
    np.testing.assert_array_equal(y[..., 3:], 0.0)


def test_a_name_builds_the_same_network_as_its_builder():
    named = build("srm_resnet18", **SMALL)
    called = ResNet18(recalibration="srm", name="srm_resnet18", **SMALL)
    assert named.get_config() == called.get_config()
    assert (
        build("cifar_resnet", depth=8, recalibration="se").count_params()
        == CifarResNet(8, recalibration="se").count_params()
    )


def test_the_catalogue():
    names = list_models()
    assert len(names) == len(set(names))
    assert set(names) >= {"resnet50", "seresnext26d_32x4d", "srm_resnext50_32x4d", "srm_resnet26t"}
    assert list_models("*srm*resnet50") == ["srm_resnet50"]
    assert not list_models("srm_*se*resne*t*")  # a name has one module
    assert "cifar_resnet56_bottleneck" in names
    assert "ge_cifar_resnet110_basic" in names


@pytest.mark.parametrize("name", ["srm_cifar_resnet20_basic", "cbam_cifar_resnet20_bottleneck"])
def test_catalogue_names_carry_their_depth_and_block(name):
    model = build(name, **SMALL)
    assert model.name == name
    assert len(modules_of(model)) == 9
    assert model.get_layer("conv4_1_out").output.shape[-1] == (64 if "basic" in name else 256)


WRONG = [
    (lambda: build("srm_resnet51"), r"`name` must be one of.*did you mean 'srm_resnet"),
    (lambda: build("srm_resnet50", recalibration="se"), r"`recalibration` is already part of"),
    (lambda: build("cifar_resnet20_basic", depth=32), r"`depth` is already part of the name"),
    (lambda: ResNet18(classes=0), r"`classes` must be a positive integer.*classes=0"),
    (lambda: ResNet18(include_top=1), r"`include_top` must be True or False"),
    (lambda: ResNet18(pooling="avg"), r"`pooling` must be None where include_top=True"),
    (lambda: ResNet18(include_top=False, pooling="sum"), r"`pooling` must be one of.*'sum'"),
    (lambda: ResNet18(stride_in="5x5"), r"`stride_in` must be one of.*'5x5'"),
    (lambda: ResNet18(classes=True), r"`classes` must be a positive integer.*classes=True"),
    (lambda: ResNet18(weights=3), r"`weights` must be None, a path or one of.*weights=3"),
    (lambda: ResNet18(weights="imagenet"), r"`weights` 'imagenet' of 'resnet18' cannot be had"),
    (lambda: ResNet18(input_shape=(16, 16, 3)), r"`input_shape` must.*at least 32.*\(16, 16, 3\)"),
    (lambda: ResNet18(input_shape=(64, 64)), r"`input_shape` must have three entries"),
    (lambda: ResNet18(input_shape=(64, 64, None)), r"`input_shape` must.*known channels"),
    (lambda: ResNet18(recalibration=["srm"] * 3), r"one entry a stage, 4 of them.*Received 3"),
    (lambda: ResNet18(recalibration=[["se"], None, None, None]), r"a block of stage 1, 2 of them"),
    (lambda: ResNet18(recalibration="ser"), r"`recalibration` must be one of.*'se'"),
    (
        lambda: ResNet18(include_top=False, recalibration="ge"),
        r"needs a static height and width",
    ),
    (
        lambda: ResNet18(input_tensor=keras.Input((64, 64, 3)), input_shape=(32, 32, 3)),
        r"`input_shape` must be that of `input_tensor`",
    ),
    (lambda: ResNet(blocks=(2, 2, 2)), r"`blocks` must have a positive integer for each of the 4"),
    (lambda: ResNet(blocks=(2, 0, 2, 2)), r"`blocks` must have a positive integer.*\(2, 0, 2, 2\)"),
    (lambda: ResNet50(stem="deeper"), r"`stem` must be one of.*did you mean 'deep'"),
    (lambda: ResNet50(stem_pool="avg"), r"`stem_pool` must be one of.*'avg'"),
    (lambda: ResNet50(downsampling="blur"), r"`downsampling` must be one of.*'blur'"),
    (lambda: ResNet50(cardinality=0), r"`cardinality` must be a positive integer"),
    (lambda: ResNet18(base_width=128), r"`base_width` must be 64 where block='basic'.*=128"),
    (lambda: build("resnet50d", stem="deep"), r"`stem` is already part of the name 'resnet50d'"),
    (lambda: CifarResNet(57), r"`depth` must be 6n \+ 2.*depth=57"),
    (lambda: CifarResNet(block="wide"), r"`block` must be one of.*'wide'"),
    (lambda: CifarResNet(shortcut="B"), r"`shortcut` must be one of.*'B'"),
    (lambda: pyramid_outputs(keras.Sequential([keras.Input((3,))])), r"`model` must be a ResNet"),
]


@pytest.mark.parametrize(("make", "message"), WRONG)
def test_bad_arguments_get_a_message_that_names_them(make, message):
    with pytest.raises(ValueError, match=message):
        make()


DROPPING = {"drop_path_rate": 0.3, "dropout": 0.2}


@pytest.mark.parametrize(
    ("builder", "settings", "blocks"),
    [
        (CifarResNet, {"depth": 14, "block": "basic"}, (2, 2, 2)),
        (ResNet, {"blocks": (1, 2, 1, 2)}, (1, 2, 1, 2)),
    ],
)
def test_stochastic_depth_rises_over_the_blocks(builder, settings, blocks):
    """As `torch.linspace(0, rate, blocks)` in timm, and before the addition, behind the module."""
    model = builder(**settings, recalibration="se", **SMALL, **DROPPING)
    names = [f"conv{s}_{b + 1}" for s, count in enumerate(blocks, 2) for b in range(count)]
    drops = [layer for layer in model.layers if isinstance(layer, StochasticDepth)]
    assert [layer.name for layer in drops] == [f"{name}_drop_path" for name in names[1:]]
    expected = np.linspace(0, DROPPING["drop_path_rate"], len(names))[1:]
    np.testing.assert_allclose([layer.rate for layer in drops], expected)
    for name, layer in zip(names[1:], drops, strict=True):
        assert layer.input is model.get_layer(f"{name}_recalibration").output
        assert model.get_layer(f"{name}_add").input[1] is layer.output
    head = model.get_layer("dropout")
    assert (head.rate, head.input) == (0.2, model.get_layer("pool").output)
    assert model.get_layer("logits").input is head.output


@pytest.mark.parametrize("module", [None, "srm"])
def test_what_drops_is_there_in_training_alone(module, tmp_path):
    """Not at inference, nor in counts of parameters and operations, folded networks and presets."""
    settings = {"depth": 8, "block": "basic", "recalibration": module, **SMALL}
    plain, model = CifarResNet(**settings), CifarResNet(**settings, **DROPPING)
    randomize(plain)
    for layer in plain.layers:
        model.get_layer(layer.name).set_weights(layer.get_weights())
    x = feature_map((2, 32, 32, 3))
    np.testing.assert_array_equal(model(x), plain(x))
    assert model.count_params() == plain.count_params()
    assert parameter_counts(model) == parameter_counts(plain)
    counted = [srm_keras.analysis.complexity(one) for one in (model, plain)]
    assert counted[0].total == counted[1].total
    assert parts_of(model).keys() == parts_of(plain).keys()
    folded = srm_keras.export.fold(model)
    names = [layer.name for layer in srm_keras.export.fold(plain).layers]
    assert [layer.name for layer in folded.layers] == names
    np.testing.assert_allclose(folded(x), plain(x), rtol=1e-4, atol=1e-6)
    classes = [f"class {number}" for number in range(5)]
    save_preset(model, tmp_path / "preset", Preprocessing(32), classes)
    saved = load_preset(tmp_path / "preset").model
    assert [layer.name for layer in saved.layers] == [layer.name for layer in plain.layers]
    np.testing.assert_array_equal(saved(x), plain(x))
    model.save(tmp_path / "model.keras")  # which a training goes on with
    kept = keras.saving.load_model(tmp_path / "model.keras")
    assert isinstance(kept.get_layer("conv4_1_drop_path"), StochasticDepth)
    again = CifarResNet(**settings, weights=str(tmp_path / "model.keras"))
    np.testing.assert_array_equal(again(x), plain(x))
    state = model.get_layer("conv4_1_drop_path").seed_generator.state
    before = np.array(state)
    model(x, training=True)
    assert not np.array_equal(state, before)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"drop_path_rate": 1.0},
            r"`drop_path_rate` must be a number in \[0, 1\)\. Rec",
        ),
        ({"dropout": -0.1}, r"`dropout` must be a number in \[0, 1\)\. Received: dropout=-0.1"),
        ({"dropout": 0.1, "include_top": False}, "`dropout` must be 0 where include_top=False"),
    ],
)
def test_rates_that_are_none_are_refused_before_anything_is_built(options, message):
    for name in ("cifar_resnet8_basic", "seresnext26d_32x4d"):
        with pytest.raises(ValueError, match=message):
            check_build(name, **options)
        with pytest.raises(ValueError, match=message):
            build(name, **options)
