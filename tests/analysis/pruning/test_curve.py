"""Pruning by gates against networks that are pruned image by image, by hand."""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

from srm_keras.analysis.pruning.curve import (
    PruningCurve,
    pruned_channels,
    pruned_outputs,
    pruning_curve,
    pruning_stages,
)
from srm_keras.analysis.pruning.network import ascending_ranks, pruned_network
from srm_keras.layers import Recalibration
from srm_keras.models import CifarResNet
from tests.support.residual_network import BLOCKS, CLASSES, residual_network
from tests.support.specs import NAMES, spec_id
from tests.support.weights import feature_map, randomize, to_channels_last, to_format

CHANNELS, SIDE, IMAGES = 6, 6, 4
RATIOS = (0.0, 0.3, 0.5, 1.0)
STAGES = {"conv2": BLOCKS[:2], "conv3": BLOCKS[2:], "all": BLOCKS}
LABELS = np.array([0, 1, 2, 3])


@pytest.fixture(autouse=True)
def _eagerly():
    """Networks this small are done before a graph of them is made."""
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


def images(data_format="channels_last", count=IMAGES):
    return to_format(feature_map((count, SIDE, SIDE, 3), seed=3), data_format)


def outputs_of(model, stage, ratios, x, order="gates"):
    network = pruned_network(model, pruning_stages(model)[stage], by_gates=order == "gates")
    return list(pruned_outputs(network, x, ratios, np.random.default_rng(0)))


def pruned_by_hand(model, blocks, ratio, x):
    """Logits, layer by layer and channels last in between; channels are zeroed image by image."""
    layer = {layer.name: layer for layer in model.layers}
    data_format = layer["stem"].data_format

    def apply(name, x):
        given = keras.ops.convert_to_tensor(to_format(x, data_format))
        call = layer[name].gates if name.endswith("recalibration") else layer[name]
        return to_channels_last(call(given, training=False), data_format)

    x = apply("stem", to_channels_last(x, data_format))
    for block in BLOCKS:
        y = apply(f"{block}_bn", apply(f"{block}_conv", x))
        gates = np.broadcast_to(apply(f"{block}_recalibration", y), y.shape)
        y = y * gates * layer[f"{block}_recalibration"].gain
        for image, image_gates in zip(y, gates, strict=True):
            weights = image_gates.astype("float64").mean(axis=(0, 1))
            order = sorted(range(CHANNELS), key=lambda channel: (weights[channel], channel))
            count = int(ratio * CHANNELS + 0.5) if block in blocks else 0
            image[..., order[:count]] = 0
        x = np.maximum(x + y, 0)
    kernel, bias = layer["logits"].get_weights()
    return x.astype("float64").mean(axis=(1, 2)) @ kernel + bias


@pytest.mark.parametrize(
    ("spec", "data_format"),
    [
        *itertools.product([*NAMES, {"name": "srm", "gain": 2}], ["channels_last"]),
        ("srm", "channels_first"),
    ],
    ids=spec_id,
)
def test_outputs_are_those_of_a_network_pruned_by_hand(spec, data_format):
    model = residual_network(spec, data_format)
    x = images(data_format)
    for stage in STAGES if spec == "srm" else ["conv2"]:
        outputs = outputs_of(model, stage, RATIOS, x)
        for ratio, output in zip(RATIOS, outputs, strict=True):
            expected = pruned_by_hand(model, STAGES[stage], ratio, x)
            np.testing.assert_allclose(output, expected, rtol=1e-4, atol=1e-5)


def test_each_image_loses_channels_of_its_own():
    model = residual_network("srm")
    together = outputs_of(model, "all", [0.5], images())[0]
    for image, output in zip(images(), together, strict=True):
        alone = outputs_of(model, "all", [0.5], image[None])[0]
        np.testing.assert_allclose(output, alone[0], rtol=1e-4, atol=1e-5)


def cifar(module, **options):
    model = CifarResNet(8, recalibration=module, classes=CLASSES, input_shape=(16, 16, 3))
    randomize(model)
    return model


@pytest.mark.parametrize("module", ["srm", "ge"])
def test_at_ratio_1_the_shortcut_passes_and_at_0_all(module):
    whole = cifar(module)
    model = keras.Model(whole.input, whole.get_layer("conv3_1_out").output)
    shortcut = keras.Model(whole.input, whole.get_layer("conv3_1_shortcut_bn").output)
    x = feature_map((3, 16, 16, 3))
    untouched, emptied = outputs_of(model, "conv3", [0, 1], x)
    np.testing.assert_allclose(untouched, model.predict(x, verbose=0), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(
        emptied, np.maximum(shortcut.predict(x, verbose=0), 0), rtol=1e-5, atol=1e-5
    )


def test_the_accuracy_is_the_share_of_images_that_are_right():
    model = residual_network("se")
    curve = pruning_curve(model, batches(model), RATIOS, ["conv2"])["conv2"]
    x, labels = map(np.concatenate, zip(*batches(model), strict=True))
    right = [
        np.mean(pruned_by_hand(model, BLOCKS[:2], ratio, x).argmax(axis=-1) == labels)
        for ratio in RATIOS
    ]
    assert curve.accuracies == pytest.approx(right)
    assert len(set(right)) > 1
    assert (curve.stage, curve.blocks, curve.ratios) == ("conv2", BLOCKS[:2], RATIOS)
    assert curve.samples == 20


def batches(model):
    """20 images in batches of 8, labelled with what the whole network says of them."""
    x = images(count=20)
    labels = model.predict(x, verbose=0).argmax(axis=-1)
    return [(x[start : start + 8], labels[start : start + 8]) for start in (0, 8, 16)]


def test_nothing_of_the_network_is_changed():
    model = residual_network("srm")
    weights, config = model.get_weights(), model.get_config()
    pruning_curve(model, batches(model), RATIOS, ["all"])
    assert all(map(np.array_equal, weights, model.get_weights()))
    assert model.get_config() == config


@pytest.mark.parametrize("seed", range(5))
def test_ranks_put_the_lower_of_two_equal_channels_first(seed):
    weights = np.random.default_rng(seed).integers(0, 4, (7, 40)).astype("float32") / 3
    ranks = keras.ops.convert_to_numpy(ascending_ranks(weights))
    for row, row_ranks in zip(weights, ranks, strict=True):
        order = sorted(range(40), key=lambda channel: (row[channel], channel))
        assert [int(row_ranks[channel]) for channel in order] == list(range(40))


@keras.saving.register_keras_serializable(package="tests")
class Equal(Recalibration):
    """Gates of 0.5 for all; counts how often Python goes through them."""

    traces = 0

    def gates(self, inputs, training=None):
        Equal.traces += 1
        return 0.5 + keras.ops.zeros_like(inputs[:, :1, :1])


def test_of_equal_gates_exactly_so_many_of_the_lowest_channels_go():
    inputs = keras.Input((2, 2, 8))
    model = keras.Model(inputs, Equal(name="block_recalibration")(inputs))
    x = np.ones((3, 2, 2, 8), "float32")
    ratios = np.arange(0, 9) / 8
    for count, output in enumerate(outputs_of(model, "block", ratios, x)):
        assert np.all(output[..., :count] == 0)
        assert np.all(output[..., count:] == 0.5)


def test_a_stage_is_traced_once_for_all_ratios():
    tf.config.run_functions_eagerly(False)
    model = residual_network(Equal)
    x, labels = images(), LABELS

    def traces(ratios):
        Equal.traces = 0
        pruning_curve(model, [(x, labels)] * 2, ratios, ["conv2"])
        return Equal.traces

    assert 0 < traces((0, 1)) == traces([tenths / 10 for tenths in range(11)])


@pytest.mark.parametrize(
    ("ratio", "channels", "expected"),
    [(0, 64, 0), (1, 64, 64), (0.1, 64, 6), (0.3, 64, 19), (0.5, 3, 2), (0.35, 10, 4), (0.1, 5, 1)],
)
def test_ratios_are_rounded_to_whole_channels(ratio, channels, expected):
    assert pruned_channels(ratio, channels) == expected


def test_the_random_control_prunes_as_many_and_not_the_same():
    inputs = keras.Input((2, 2, 8))
    model = keras.Model(inputs, Equal(name="block_recalibration")(inputs))
    x = np.ones((16, 2, 2, 8), "float32")
    ratios = (0, 0.25, 0.5, 1)
    gone = [output[:, 0, 0] == 0 for output in outputs_of(model, "block", ratios, x, "random")]
    for ratio, mask in zip(ratios, gone, strict=True):
        assert np.all(mask.sum(axis=1) == 8 * ratio)
    assert len({tuple(row) for row in gone[2]}) > 4
    assert np.all(gone[1] <= gone[2])
    again = outputs_of(model, "block", [0.5], x, "random")[0]
    np.testing.assert_array_equal(again[:, 0, 0] == 0, gone[2])


def test_the_random_control_of_a_network_is_repeatable_and_ends_like_the_other():
    model = residual_network("se")
    curves = [
        pruning_curve(model, batches(model), (0, 0.5, 1), ["all"], order, seed)["all"]
        for order, seed in [("random", 1), ("random", 1), ("gates", 0)]
    ]
    assert curves[0] == curves[1]
    assert curves[0].accuracies[::2] == curves[2].accuracies[::2]
    assert curves[0].order == "random"


def test_in_mixed_precision_it_prunes_as_well():
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = residual_network("cbam")
    finally:
        keras.config.set_dtype_policy("float32")
    x = images()
    untouched, half, emptied = outputs_of(model, "all", (0, 0.5, 1), x)
    np.testing.assert_allclose(untouched, model.predict(x, verbose=0), rtol=1e-2, atol=1e-2)
    assert np.all(np.isfinite(half))
    assert not np.allclose(emptied, untouched, atol=1e-2)


def test_areas_are_means_over_the_ratios():
    curve = PruningCurve("conv2", "gates", BLOCKS, (0.0, 0.5, 1.0), (0.8, 0.6, 0.2), 10)
    assert curve.area == pytest.approx(0.5 * (0.8 + 0.6) / 2 + 0.5 * (0.6 + 0.2) / 2)
    assert curve.relative_area == pytest.approx(curve.area / 0.8)
    half = PruningCurve("conv2", "gates", BLOCKS, (0.0, 0.5), (0.8, 0.6), 10)
    assert half.area == pytest.approx(0.7)
    nothing = PruningCurve("conv2", "gates", BLOCKS, (0.0, 1.0), (0.0, 0.0), 10)
    assert nothing.relative_area == 0


def test_stages_are_read_off_the_names():
    model = residual_network("srm")
    found = {
        stage: [module.name.removesuffix("_recalibration") for module in modules]
        for stage, modules in pruning_stages(model).items()
    }
    assert found == {stage: list(blocks) for stage, blocks in STAGES.items()}
    inputs = keras.Input((2, 2, 8))
    model = keras.Model(inputs, Equal(name="attention")(inputs))
    assert list(pruning_stages(model)) == ["attention"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"ratios": (0.5, 1)}, "`ratios` must ascend from 0 to at most 1"),
        ({"ratios": (0, 0.5, 0.5)}, "`ratios` must ascend"),
        ({"ratios": (0, 1.5)}, "`ratios` must ascend"),
        ({"ratios": (0,)}, "`ratios` must ascend"),
        ({"ratios": ()}, "`ratios` must ascend"),
        ({"stages": ["conv22"]}, r"`stages` must be one of .*did you mean 'conv2'"),
        ({"order": "gate"}, r"`order` must be one of .*did you mean 'gates'"),
        ({"batches": iter([])}, "`batches` must be something to go through several times"),
        ({"batches": []}, "`batches` must hold at least one image"),
        ({"batches": [(images(), np.eye(len(LABELS)))]}, r"must be integers \(N,\).*float64, 1.0"),
        ({"batches": [(images(), LABELS + 0.5)]}, r"must be integers \(N,\).*dtype float64"),
        ({"batches": [(images(), LABELS + 2**32)]}, r"must lie in 0 … \d+. Received: 42949"),
        ({"model": CifarResNet}, "`model` must be a functional"),
    ],
)
def test_bad_arguments_are_refused(changes, message):
    arguments = {"model": residual_network("se"), "batches": [(images(), LABELS)], **changes}
    with pytest.raises(ValueError, match=message):
        pruning_curve(**arguments)


def test_networks_without_gates_or_with_shared_layers_are_refused():
    with pytest.raises(ValueError, match="must contain recalibration layers"):
        pruning_curve(CifarResNet(8), [(images(), LABELS)])
    inputs = keras.Input((4, 4, 8))
    conv = keras.layers.Conv2D(8, 1)
    x = conv(Equal(name="block_recalibration")(conv(inputs)))
    model = keras.Model(inputs, keras.layers.GlobalAveragePooling2D()(x))
    with pytest.raises(ValueError, match="must call each of its layers once"):
        pruning_curve(model, [(np.zeros((1, 4, 4, 8)), [0])])
