"""Networks without some channels against the whole ones with these channels set to zero."""

import keras
import numpy as np
import pytest
from keras import layers

from srm_keras.analysis.pruning.channel_removal import without_channels
from srm_keras.analysis.pruning.static import highest_channels, mean_gates, static_prune
from srm_keras.export import deploy, fold, to_tflite
from srm_keras.layers import SRM, Recalibration
from srm_keras.models import CifarResNet
from tests.support.residual_network import BLOCKS, residual_network
from tests.support.specs import NAMES
from tests.support.weights import feature_map, randomize, to_channels_last, to_format

KEPT = {
    "conv2_1_recalibration": [0, 2, 3, 5],
    "conv2_2_recalibration": [],
    "conv3_1_recalibration": [1, 4, 5],
}
EXACT = ["srm", {"name": "ge", "extent": 0, "params": "theta"}]


def images(count=3, channels=3, side=6, seed=3):
    return feature_map((count, side, side, channels), seed=seed)


def outputs(model, x):
    return keras.ops.convert_to_numpy(model(x, training=False))


def with_zeros(model, x):
    """Logits of ``model``, layer by layer, with what is not in ``KEPT`` zeroed after its gates."""
    layer = {layer.name: layer for layer in model.layers}
    data_format = layer["stem"].data_format

    def apply(name, x):
        y = layer[name](to_format(x, data_format), training=False)
        return np.array(to_channels_last(y, data_format))

    x = apply("stem", to_channels_last(x, data_format))
    for block in BLOCKS:
        y = apply(f"{block}_bn", apply(f"{block}_conv", x))
        y = apply(f"{block}_recalibration", y)
        kept = KEPT[f"{block}_recalibration"]
        y[..., [channel for channel in range(y.shape[-1]) if channel not in kept]] = 0
        x = np.maximum(x + y, 0)
    kernel, bias = layer["logits"].get_weights()
    return x.astype("float64").mean(axis=(1, 2)) @ kernel + bias


@pytest.mark.parametrize(
    ("spec", "data_format"),
    [(EXACT[0], "channels_last"), (EXACT[1], "channels_last"), ("srm", "channels_first")],
)
def test_where_gates_stay_the_network_is_that_with_zeros(spec, data_format):
    model = residual_network(spec, data_format)
    before = model.get_weights()
    x = to_format(images(), data_format)
    smaller = without_channels(model, KEPT)
    np.testing.assert_allclose(outputs(smaller, x), with_zeros(model, x), rtol=1e-4, atol=1e-5)
    assert all(map(np.array_equal, before, model.get_weights()))


@pytest.mark.parametrize("spec", NAMES)
def test_what_is_removed_is_gone(spec):
    model = residual_network(spec)
    smaller = without_channels(model, KEPT)
    for name, kept in KEPT.items():
        block = name.removesuffix("_recalibration")
        names = {layer.name for layer in smaller.layers}
        parts = {f"{block}_conv", f"{block}_bn", name, f"{name}_scatter"}
        if not kept:
            assert not parts & names
            continue
        assert parts <= names
        whole = model.get_layer(f"{block}_conv").get_weights()[0]
        part = smaller.get_layer(f"{block}_conv").get_weights()[0]
        np.testing.assert_array_equal(part, whole[..., kept])
        assert smaller.get_layer(name).input.shape[-1] == len(kept)
        assert type(smaller.get_layer(name)) is type(model.get_layer(name))
        assert not smaller.get_layer(f"{name}_scatter").trainable


@pytest.mark.parametrize("spec", ["srm", "cbam"])
def test_nothing_changes_where_all_channels_are_kept(spec):
    model = residual_network(spec)
    same = without_channels(model, {name: range(6) for name in KEPT})
    assert [layer.name for layer in same.layers] == [layer.name for layer in model.layers]
    np.testing.assert_array_equal(outputs(same, images()), outputs(model, images()))


MODULES = [pytest.param(name, marks=[] if name == "srm" else pytest.mark.slow) for name in NAMES]


@pytest.fixture(scope="module", params=MODULES)
def pruned_cifar(request):
    model = CifarResNet(8, recalibration=request.param, classes=5, input_shape=(16, 16, 3))
    randomize(model, seed=1)
    return static_prune(model, [images(8, side=16)], ratio=0.5)[0]


def test_it_saves_and_loads(pruned_cifar, tmp_path):
    pruned_cifar.save(tmp_path / "small.keras")
    loaded = keras.saving.load_model(tmp_path / "small.keras")
    x = images(side=16)
    np.testing.assert_array_equal(outputs(loaded, x), outputs(pruned_cifar, x))


def test_it_folds_and_deploys(pruned_cifar):
    x = images(side=16)
    expected = outputs(pruned_cifar, x)
    folded = fold(pruned_cifar)
    assert not [v.path for v in folded.variables if "moving" in v.path]
    for network in (folded, deploy(pruned_cifar)):
        np.testing.assert_allclose(outputs(network, x), expected, atol=1e-5)


def test_it_is_exported_to_tflite(pruned_cifar, tmp_path):
    report = to_tflite(pruned_cifar, tmp_path / "small.tflite", images(side=16))
    assert report.parity.max_error <= 1e-5
    assert report.details["partitions"] == 1


def test_mean_gates_are_those_of_all_images():
    model = residual_network("cbam")
    x = images(10)
    means = mean_gates(model, [x[:7], x[7:]])
    module = model.get_layer("conv2_1_recalibration")
    inner = keras.Model(model.input, module.input)
    gates = keras.ops.convert_to_numpy(module.gates(inner(x), training=False))
    expected = gates.astype("float64").mean(axis=(0, 1, 2))
    np.testing.assert_allclose(means[module.name], expected, rtol=1e-5)
    assert list(means) == list(KEPT)


def test_the_lowest_gates_go_by_ratio_in_each_block_and_by_threshold_in_all():
    means = {"one": np.array([0.5, 0.1, 0.9, 0.1]), "two": np.array([0.7, 0.8, 0.6])}

    def kept(**amount):
        return {name: list(map(int, k)) for name, k in highest_channels(means, **amount).items()}

    assert kept(ratio=0) == {"one": [0, 1, 2, 3], "two": [0, 1, 2]}
    assert kept(ratio=0.25) == {"one": [0, 2, 3], "two": [0, 1]}
    assert kept(ratio=0.5) == {"one": [0, 2], "two": [1]}
    assert kept(ratio=1) == {"one": [], "two": []}
    assert kept(threshold=0.65) == {"one": [2], "two": [0, 1]}
    assert kept(threshold=1) == {"one": [], "two": []}


def test_the_report_says_what_was_removed():
    model = residual_network("srm")
    smaller, report = static_prune(model, [images(8)], ratio=0.5)
    means = mean_gates(model, [images(8)])
    assert [block.block for block in report.blocks] == list(BLOCKS)
    for block, gates in zip(report.blocks, means.values(), strict=True):
        assert len(block.kept) == 3
        assert block.kept_gate == pytest.approx(np.sort(gates)[3:].mean())
        assert block.removed_gate == pytest.approx(np.sort(gates)[:3].mean())
    assert report.removed_share == pytest.approx(0.5)
    assert report.parameters_before == sum(w.size for w in model.get_weights())
    assert report.parameters == sum(w.size for w in smaller.get_weights())
    # Half of three 3×3 convolutions, batch norms (4) and SRMs (6), and three scatters.
    saved = 3 * (3 * 9 * 6 + 3 * (4 + 6) - 3 * 6)
    assert report.parameters_before - report.parameters == saved
    assert report.to_dict()["blocks"][0]["kept"] == list(report.blocks[0].kept)


def test_at_ratio_1_the_branches_are_gone():
    model = residual_network("se")
    smaller, report = static_prune(model, [images()], ratio=1)
    x = outputs(keras.Model(model.input, model.get_layer("stem").output), images())
    kernel, bias = model.get_layer("logits").get_weights()
    expected = np.maximum(x, 0).mean(axis=(1, 2)) @ kernel + bias
    np.testing.assert_allclose(outputs(smaller, images()), expected, rtol=1e-4, atol=1e-5)
    assert report.blocks[0].kept_gate is None
    assert [type(layer).__name__ for layer in smaller.layers if layer.weights] == [
        "Conv2D",
        "Dense",
    ]


@pytest.mark.parametrize(
    ("amount", "message"),
    [
        ({}, "Either `ratio` or `threshold`"),
        ({"ratio": 0.5, "threshold": 0.5}, "Either `ratio` or `threshold`"),
        ({"ratio": 1.5}, "a number from 0 to 1"),
        ({"threshold": -0.1}, "a number from 0 to 1"),
    ],
)
def test_bad_amounts_are_refused(amount, message):
    with pytest.raises(ValueError, match=message):
        static_prune(residual_network("se"), [images()], **amount)


def test_bad_models_and_data_are_refused():
    with pytest.raises(ValueError, match="must contain recalibration layers"):
        static_prune(CifarResNet(8), [images()], ratio=0.5)
    with pytest.raises(ValueError, match="`batches` must hold at least one image"):
        static_prune(residual_network("se"), [], ratio=0.5)
    with pytest.raises(ValueError, match=r"`kept` must be one of .*did you mean"):
        without_channels(residual_network("se"), {"conv2_1_recalibratio": [0]})
    with pytest.raises(ValueError, match="`channels` must be ascending positions"):
        without_channels(residual_network("se"), {"conv2_1_recalibration": [3, 1]})


def relu_before_module(x):
    return SRM(name="module")(layers.ReLU(name="odd")(layers.Conv2D(4, 1)(x)))


def depthwise(x):
    return SRM(name="module")(layers.DepthwiseConv2D(1, name="odd")(x))


def grouped(x):
    return SRM(name="module")(layers.Conv2D(4, 1, groups=2, name="odd")(x))


def relu_after_module(x):
    return layers.ReLU(name="odd")(SRM(name="module")(layers.Conv2D(4, 1)(x)))


def read_twice(x):
    y = layers.Conv2D(4, 1, name="odd")(x)
    return layers.Add()([SRM(name="module")(y), y])


@pytest.mark.parametrize(
    "branch", [relu_before_module, depthwise, grouped, relu_after_module, read_twice]
)
def test_other_branches_are_refused_with_a_reason(branch):
    inputs = keras.Input((4, 4, 4))
    model = keras.Model(inputs, layers.Add(name="add")([inputs, branch(inputs)]))
    with pytest.raises(ValueError, match=r"Received: 'module', with .* 'odd'"):
        without_channels(model, {"module": [0, 1]})


def test_a_module_without_smaller_form_is_refused():
    class Half(Recalibration):
        def gates(self, inputs, training=None):
            return 0.5 + keras.ops.zeros_like(inputs[:, :1, :1])

    with pytest.raises(ValueError, match="Half has no form for some of its channels"):
        without_channels(residual_network(Half), {"conv2_1_recalibration": [0]})
