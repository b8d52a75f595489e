"""Networks with held statistics, against the networks themselves."""

import keras
import numpy as np
import pytest
from keras import layers

from srm_keras.export.stylize.held import HeldAffine, split
from srm_keras.layers import CBAM, SRM, SqueezeExcite
from srm_keras.layers.adaptive_instance_norm import AdaptiveInstanceNormalization
from srm_keras.layers.instance_norm import InstanceNormalization
from tests.support.weights import feature_map, randomize

LAYERS = {
    "instance": lambda: InstanceNormalization(name="n"),
    "keras' instance": lambda: layers.GroupNormalization(groups=-1, name="n"),
    "groups": lambda: layers.GroupNormalization(groups=2, name="n"),
    "srm": lambda: SRM(name="n"),
    "se": lambda: SqueezeExcite(reduction=2, name="n"),
}


def network(layer, dtype="float32"):
    image = keras.Input((None, None, 3), name="image")
    x = layers.Conv2D(4, 3, padding="same", name="conv", dtype=dtype)(image)
    model = keras.Model(image, layers.Conv2D(3, 1, name="rgb", dtype=dtype)(layer(x)))
    randomize(model)
    return model


@pytest.mark.parametrize("kind", LAYERS)
def test_with_the_statistics_of_an_image_it_is_the_network(kind):
    model = network(LAYERS[kind]())
    image, other = feature_map((1, 9, 7, 3), seed=1), feature_map((1, 9, 7, 3), seed=2)
    parts = split(model)
    parts.hold(keras.tree.map_structure(np.asarray, parts.measuring(image)))
    np.testing.assert_allclose(parts.local(image), model(image), atol=2e-5)
    # The statistics stay: another image is painted with those of the first.
    assert np.abs(np.asarray(parts.local(other)) - np.asarray(model(other))).max() > 1e-3
    np.testing.assert_allclose(parts.local(image[:, :5])[:, :4], model(image)[:, :4], atol=2e-5)


@pytest.mark.parametrize("kind", LAYERS)
def test_the_pair_is_that_of_the_formula(kind):
    """``y = a·x + b``, from the layer's own input and output in float64."""
    layer = LAYERS[kind]()
    model = network(layer)
    image = feature_map((1, 9, 7, 3), seed=1)
    pair = np.asarray(split(model).measuring(image)["n"], "float64")[0, :, 0]
    x = np.asarray(model.get_layer("conv")(image), "float64")
    np.testing.assert_allclose(pair[0] * x + pair[1], layer(x.astype("float32")), atol=2e-5)


def test_the_network_itself_stays_as_it_was(tmp_path):
    model = network(LAYERS["srm"]())
    image = feature_map((1, 9, 7, 3), seed=1)
    before = np.asarray(model(image))
    parts = split(model)
    parts.local.get_layer("conv").set_weights(
        [np.zeros_like(weight) for weight in parts.local.get_layer("conv").get_weights()]
    )
    assert np.array_equal(before, model(image))
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(loaded(image), before, atol=1e-6)


def test_a_constant_channel_becomes_its_mean():
    model = network(LAYERS["instance"]())
    image = np.full((1, 9, 7, 3), 3.0, "float32")
    model.get_layer("conv").set_weights([np.zeros((3, 3, 3, 4)), np.ones(4)])
    parts = split(model)
    parts.hold(keras.tree.map_structure(np.asarray, parts.measuring(image)))
    assert np.isfinite(parts.local(image)).all()
    np.testing.assert_allclose(parts.local(image), model(image), atol=1e-5)


def test_adain_keeps_both_statistics():
    content, style = (keras.Input((None, None, 3), name=name) for name in ("content", "style"))
    mixed = AdaptiveInstanceNormalization(name="adain")([content, style])
    model = keras.Model({"content": content, "style": style}, mixed * 2.0)
    images = {name: feature_map((1, 9, 7, 3), seed) for seed, name in enumerate(model.input)}
    parts = split(model)
    parts.hold(keras.tree.map_structure(np.asarray, parts.measuring(images)))
    np.testing.assert_allclose(parts.local(images), model(images), atol=1e-5)


def test_half_precision_stays_half():
    model = network(InstanceNormalization(name="n", dtype="mixed_float16"), "mixed_float16")
    held = split(model).local.get_layer("n")
    assert isinstance(held, HeldAffine)
    assert held.output.dtype == model.get_layer("n").output.dtype == "float16"


def test_a_network_without_statistics_has_one_part():
    assert split(network(layers.BatchNormalization(name="n"))).measuring is None


def test_gates_for_each_pixel_and_layers_called_twice_are_refused():
    with pytest.raises(ValueError, match=r"a gate for each pixel\. Received: 'n', a CBAM"):
        split(network(CBAM(reduction=2, name="n")))
    twice = InstanceNormalization(name="n")
    with pytest.raises(ValueError, match=r"called twice\. Received: 'n'"):
        split(network(lambda x: twice(layers.ReLU()(twice(x)))))
