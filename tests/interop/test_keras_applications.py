"""Networks of keras.applications against ours with their weights; random, as if downloaded."""

import keras
import numpy as np
import pytest
from keras import ops

from srm_keras.interop import from_keras_applications
from srm_keras.interop.keras_applications import RGB_MEAN, RGB_STD
from tests.support.weights import randomize

SHAPE = (64, 64, 3)


def random_source(name: str = "ResNet50", **options) -> keras.Model:
    options = {"classes": 5, "input_shape": SHAPE, "classifier_activation": None, **options}
    model = getattr(keras.applications, name)(weights=None, **options)
    randomize(model)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.gamma.assign(0.6 * ops.convert_to_numpy(layer.gamma))
    # Variances so small that the epsilons, 1.001e-5 there and 1e-5 here, make a difference.
    last = model.get_layer("conv5_block3_3_bn")
    last.moving_variance.assign(1e-6 * ops.convert_to_numpy(last.moving_variance))
    return model


@pytest.fixture(scope="module")
def source() -> keras.Model:
    return random_source()


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    """Two images, RGB values in 0 … 255, that differ in colour and contrast."""
    noise = np.random.default_rng(0).normal(size=(2, *SHAPE))
    spread, mean = np.array([20, 60]), np.array([[90, 120, 150], [160, 110, 80]])
    scaled = spread[:, None, None, None] * noise + mean[:, None, None]
    return np.clip(scaled, 0, 255).astype("float32")


def relative_error(got, expected) -> float:
    got, expected = (ops.convert_to_numpy(value) for value in (got, expected))
    assert np.abs(expected[0] - expected[1]).max() > 0.02 * np.abs(expected).max()
    return np.abs(got - expected).max() / np.abs(expected).max()


def preprocessed(images: np.ndarray) -> np.ndarray:
    return keras.applications.resnet.preprocess_input(images.copy())


def test_the_same_function_on_rgb_images(source, images):
    expected = source(preprocessed(images))
    options = {"channel_order": "rgb", "classifier_activation": None, "name": "ours"}
    model = from_keras_applications(source, **options)
    assert (model.name, model.output_shape) == ("ours", (None, 5))
    standardized = (images / 255 - np.array(RGB_MEAN)) / np.array(RGB_STD)
    assert relative_error(model(standardized.astype("float32")), expected) < 1e-4


@pytest.mark.slow
def test_the_same_function_on_the_same_images(source, images):
    model = from_keras_applications(source, classifier_activation=None)
    assert relative_error(model(images), source(images)) < 1e-4


@pytest.mark.slow
@pytest.mark.parametrize("name", ["ResNet101", "ResNet152"])
def test_deeper_networks(name, images):
    source = random_source(name)
    model = from_keras_applications(source, classifier_activation=None)
    assert relative_error(model(images), source(images)) < 1e-4


@pytest.mark.slow
def test_features_without_a_classifier(images):
    source = random_source(include_top=False)
    model = from_keras_applications(source)
    assert model.output_shape == (None, 2, 2, 2048)
    assert relative_error(model(images), source(images)) < 1e-4
    model = from_keras_applications(source, classes=3)
    assert model.output_shape == (None, 3)
    source = random_source(include_top=False, pooling="max")
    assert relative_error(from_keras_applications(source)(images), source(images)) < 1e-4


def test_modules_and_another_classifier_are_new(source):
    model = from_keras_applications(source, recalibration="srm", classes=3)
    module = model.get_layer("conv3_2_recalibration")
    assert not np.any(ops.convert_to_numpy(module.encoder.kernel))
    assert model.output_shape == (None, 3)
    for ours, theirs in (
        ("conv1_conv", "conv1_conv"),
        ("conv4_1_shortcut_conv", "conv4_block1_0_conv"),
        ("conv5_3_2_conv", "conv5_block3_2_conv"),
    ):
        np.testing.assert_array_equal(
            ops.convert_to_numpy(model.get_layer(ours).kernel),
            ops.convert_to_numpy(source.get_layer(theirs).kernel),
        )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"model": "resnet50"}, "`model` must be one of .*did you mean 'ResNet50'"),
        ({"classes": 0}, "`classes` must be a positive integer"),
        ({"channel_order": "bgra"}, "`channel_order` must be one of"),
        ({"recalibration": "sra"}, "did you mean 'srm'"),
    ],
)
def test_bad_arguments_are_refused(arguments, message, source):
    with pytest.raises(ValueError, match=message):
        from_keras_applications(**{"model": source, **arguments})


@pytest.mark.parametrize("kind", ["v2", "other", "extended"])
def test_other_networks_are_refused(kind, source):
    if kind == "v2":
        model = keras.applications.ResNet50V2(weights=None, input_shape=SHAPE)
    elif kind == "other":
        model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    else:
        outputs = keras.layers.Dense(2, name="mine")(source.output)
        model = keras.Model(source.input, outputs)
    with pytest.raises(ValueError, match=r"`model` must be one of .* with nothing added"):
        from_keras_applications(model)


def test_another_number_of_channels_is_refused(source):
    with pytest.raises(ValueError, match="`input_shape` must have the 3 channels of `model`"):
        from_keras_applications(source, input_shape=(64, 64, 1))
