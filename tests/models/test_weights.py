import keras
import numpy as np
import pytest

from srm_keras.layers import neutral
from srm_keras.models import CifarResNet, insert_recalibration
from srm_keras.models.weights import Blueprint, transfer_weights
from tests.support.foreign_models import nested_model
from tests.support.networks import with_factors
from tests.support.weights import randomize

IMAGES = np.random.default_rng(0).normal(size=(2, 16, 16, 3)).astype("float32")
MODULES = [f"conv{stage}_1_recalibration" for stage in (2, 3, 4)]


def network(recalibration=None, classes=5, seed=0, **options):
    model = CifarResNet(
        8,
        "bottleneck",
        recalibration=recalibration,
        classes=classes,
        **{"input_shape": (16, 16, 3), **options},
    )
    randomize(model, seed)
    return model


def values(model):
    return {variable.path: variable.numpy() for variable in model.variables}


def test_the_same_network_computes_the_same():
    source, target = network("srm", seed=1), network("srm", seed=2)
    assert np.abs(source(IMAGES) - target(IMAGES)).max() > 0.01
    found = transfer_weights(source, target, same_classes=True)
    np.testing.assert_array_equal(source(IMAGES), target(IMAGES))
    assert (found.new, found.unused) == ([], [])
    assert found.loaded == [layer.name for layer in target.layers if layer.weights]


def test_another_size_of_the_images_is_no_other_network():
    source, target = network("srm"), network("srm", seed=2, input_shape=(32, 32, 3))
    assert transfer_weights(source, target, same_classes=True).new == []


@pytest.mark.parametrize(("classes", "same"), [(7, False), (7, True), (5, False)])
def test_other_classes_get_a_new_head(classes, same):
    source, target = network(seed=1), network(classes=classes, seed=2)
    if classes == 7 and same:  # The caller compares names or numbers.
        with pytest.raises(ValueError, match=r"logits has the shapes ..256, 5.* not ..256, 7"):
            transfer_weights(source, target, same)
        return
    fresh = values(target)
    found = transfer_weights(source, target, same)
    assert (found.new, found.unused) == (["logits"], ["logits"])
    after, given = values(target), values(source)
    for path, value in after.items():
        expected = fresh if path.startswith("logits") else given
        np.testing.assert_array_equal(value, expected[path])


@pytest.mark.parametrize(
    ("theirs", "ours", "new", "unused"),
    [
        (None, "srm", MODULES, []),
        ("srm", None, [], MODULES),
        ("se", "srm", MODULES, MODULES),
        ([None, "srm", "srm"], "srm", MODULES[:1], []),
    ],
)
def test_modules_may_come_go_and_change(theirs, ours, new, unused):
    source, target = network(theirs, seed=1), network(ours, seed=2)
    fresh = values(target)
    found = transfer_weights(source, target, same_classes=True)
    assert (found.new, found.unused) == (new, unused)
    after, given = values(target), values(source)
    for path, value in after.items():
        expected = fresh if path.split("/")[0] in new else given
        np.testing.assert_array_equal(value, expected[path])


WRONG = {
    "deeper": ({"depth": 14}, r"conv2_2_1_conv is in `init` alone.*and \d+ more layers$"),
    "another stride": ({"stride_in": "1x1"}, r"conv3_1_1_conv has .*strides=.2, 2. in `init`, not"),
    "no projection": ({"shortcut": "identity"}, r"conv2_1_shortcut_conv is not in `init`"),
    "another module's option": (
        {"recalibration": {"name": "srm", "unbiased": True}},
        r"conv2_1_recalibration has unbiased=true in `init`, not false",
    ),
    "another module's shape": (
        {"recalibration": {"name": "srm", "pooling": ["avg"]}},
        r"conv2_1_recalibration has the shapes",
    ),
}


@pytest.mark.parametrize(("options", "message"), WRONG.values(), ids=WRONG)
def test_another_network_is_refused_layer_by_layer_and_nothing_is_loaded(options, message):
    given = {"depth": 8, "recalibration": "srm", "classes": 5, "input_shape": (16, 16, 3)}
    source = CifarResNet(**{**given, **options})
    target = network("srm", seed=2)
    before = values(target)
    with pytest.raises(ValueError, match=message) as error:
        transfer_weights(source, target, same_classes=True)
    assert "\n" not in str(error.value)
    for path, value in values(target).items():
        np.testing.assert_array_equal(value, before[path])


@pytest.mark.parametrize("module", ["srm", "se"])
def test_new_neutral_modules_leave_a_plain_network_what_it_was(module):
    source = network()
    target = CifarResNet(8, recalibration=neutral(module), classes=5, input_shape=IMAGES.shape[1:])
    assert transfer_weights(source, target, same_classes=True).new == MODULES
    np.testing.assert_array_equal(source(IMAGES), target(IMAGES))


def test_how_a_module_started_does_not_matter_and_its_gain_does():
    source = network({"name": "srm", "gain": 2, "neutral": True})
    target = network({"name": "srm", "gain": 2}, seed=2)
    assert transfer_weights(source, target, same_classes=True).new == []
    np.testing.assert_array_equal(source(IMAGES), target(IMAGES))
    with pytest.raises(ValueError, match=r"conv2_1_recalibration has gain=2.0 in `init`, not 1.0"):
        transfer_weights(source, network("srm"), same_classes=True)


def test_a_factor_behind_a_module_is_part_of_its_gain():
    """As networks with modules that started neutral had it before modules had a gain."""
    source, gain = with_factors(network("srm")), {"name": "srm", "gain": 2}
    for target in (network(gain, seed=2), with_factors(network("srm", seed=2))):
        assert transfer_weights(source, target, same_classes=True).new == []
        np.testing.assert_array_equal(source(IMAGES), target(IMAGES))
    transfer_weights(target, source, same_classes=True)
    for other in (network("srm"), with_factors(network("srm"), 4.0), with_factors(network(gain))):
        with pytest.raises(ValueError, match=r"conv2_1_recalibration has gain=2.0 in `init`, not"):
            transfer_weights(source, other, same_classes=True)
    # Of modules of another kind nothing is loaded, so that their factors do not matter.
    assert transfer_weights(source, network("se", seed=2), same_classes=True).new == MODULES


def test_networks_from_before_modules_had_a_gain_are_what_new_ones_begin_with(tmp_path):
    """A network and a model inside of another one, which decide what gain is built."""
    source = with_factors(network("srm", seed=1))
    source.save(tmp_path / "net.keras")
    weights = {"weights": tmp_path / "net.keras", "input_shape": (16, 16, 3)}
    model = CifarResNet(8, "bottleneck", recalibration="srm", classes=5, **weights)
    assert {model.get_layer(name).gain for name in MODULES} == {2.0}
    np.testing.assert_array_equal(model(IMAGES), source(IMAGES))
    outer = with_factors(insert_recalibration(nested_model(), "se"))
    (spec,) = Blueprint.of(outer).modules.values()
    assert (spec["name"], spec["gain"]) == ("se", 2.0)


def test_features_begin_with_the_weights_of_a_classifier(tmp_path, caplog):
    """So do networks with modules in some blocks, and with another data format."""
    source = network(seed=1)
    source.save(tmp_path / "net.keras")
    weights = {"weights": tmp_path / "net.keras", "input_shape": (16, 16, 3)}
    features = CifarResNet(8, "bottleneck", include_top=False, pooling="avg", **weights)
    pooled = keras.Model(source.input, source.get_layer("pool").output)
    np.testing.assert_array_equal(features(IMAGES), pooled(IMAGES))
    assert not caplog.records
    modules = [None, "srm", ["se"]]
    mixed = CifarResNet(8, "bottleneck", recalibration=modules, classes=5, **weights)
    np.testing.assert_array_equal(mixed(IMAGES), source(IMAGES))
    assert "new: conv3_1_recalibration, conv4_1_recalibration" in caplog.text
    weights["input_shape"] = (3, 16, 16)
    first = CifarResNet(8, "bottleneck", classes=5, data_format="channels_first", **weights)
    for one, other in zip(first.weights, source.weights, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_network_that_is_something_else_altogether_is_refused():
    inputs = keras.Input((16, 16, 3))
    x = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(4, 3, name="conv1_conv")(inputs))
    other = keras.Model(inputs, keras.layers.Dense(5, name="other_head")(x))
    with pytest.raises(ValueError, match=r"conv1_conv has the shapes .* conv1_bn is not in `init`"):
        transfer_weights(other, network(), same_classes=True)
