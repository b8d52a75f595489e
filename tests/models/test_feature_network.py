"""Frozen feature networks against ``keras.applications`` and against the network they are of."""

import importlib
import inspect

import keras
import numpy as np
import pytest
from keras import ops

from srm_keras.layers.conventions import dtype_policy
from srm_keras.models.applications import PREPROCESSINGS, application_preprocessing
from srm_keras.models.feature_network import feature_network
from tests.support.feature_files import small_feature_file, small_vgg

LAYERS = ["block1_conv2", "block2_conv1"]
# A module of keras.applications for each kind of preprocessing.
MODULES = {"caffe": "vgg16", "torch": "densenet", "tf": "mobilenet_v2", "none": "convnext"}


def images(count=2, height=12, width=9) -> np.ndarray:
    return np.random.default_rng(0).uniform(0, 255, (count, height, width, 3)).astype("float32")


def preprocess_input(module: str, x: np.ndarray) -> np.ndarray:
    module = importlib.import_module(f"keras.applications.{module}")
    return np.asarray(module.preprocess_input(x.copy()))


def cut(model: keras.Model, name: str) -> keras.Model:
    return keras.Model(model.inputs[0], model.get_layer(name).output)


@pytest.mark.parametrize("part", [None, "block2_conv1", "block2_conv2"])
def test_features_of_a_weights_file_of_the_network_or_of_its_beginning(part, monkeypatch, tmp_path):
    network = small_vgg(monkeypatch)
    file = tmp_path / "vgg.weights.h5"
    (cut(network, part) if part else network).save_weights(file)
    model = feature_network(LAYERS, weights=str(file))
    assert model.output_names == LAYERS
    x = images()
    expected = preprocess_input("vgg16", x)
    for name, y in zip(LAYERS, model(x), strict=True):
        reference = cut(network, name)(expected)
        np.testing.assert_allclose(y, reference, rtol=1e-4, atol=1e-3)


def test_nothing_behind_the_deepest_layer_is_computed():
    model = feature_network(["block2_conv2", "block1_conv1"], weights=None)
    assert [tuple(y.shape) for y in model(images(1, 8, 6))] == [(1, 4, 3, 128), (1, 8, 6, 64)]
    convolutions = (3 * 9 + 1) * 64 + (64 * 9 + 1) * 64 + (64 * 9 + 1) * 128 + (128 * 9 + 1) * 128
    assert model.count_params() == convolutions


@pytest.mark.parametrize("mode", PREPROCESSINGS)
def test_preprocessing_is_that_of_keras_applications(mode, tmp_path):
    image = keras.Input((8, 8, 3))
    keras.Model(image, keras.layers.ReLU(negative_slope=1.0, name="same")(image)).save(
        tmp_path / "pixels.keras"
    )
    model = feature_network(["same"], str(tmp_path / "pixels.keras"), preprocessing=mode)
    y = model(images())
    np.testing.assert_allclose(y, preprocess_input(MODULES[mode], images()), rtol=1e-5, atol=1e-4)


def test_every_network_of_keras_applications_has_its_preprocessing():
    x = images(1, 2, 2)
    expected = {mode: preprocess_input(module, x) for mode, module in MODULES.items()}
    builders = {n: f for n, f in vars(keras.applications).items() if inspect.isfunction(f)}
    assert len(builders) > 30
    modules = [module for module in vars(keras.applications).values() if inspect.ismodule(module)]
    for name in builders.keys() - {"MobileNetV3Small", "MobileNetV3Large"}:
        module = next(module for module in modules if hasattr(module, name))
        y = np.asarray(module.preprocess_input(x.copy()))
        np.testing.assert_allclose(y, expected[application_preprocessing(name)], err_msg=name)
    assert application_preprocessing("mobilenet_v3_small") == "none"


def test_a_file_of_any_policy_and_size_gives_frozen_float32_features(tmp_path):
    with dtype_policy("mixed_float16"):
        path = small_feature_file(tmp_path, (16, 16, 3))
        model = feature_network(["drop", "norm"], path, preprocessing="tf")
    network = keras.saving.load_model(path)
    with dtype_policy("float32"):
        wide = keras.Model.from_config(_float32_config(network))
    wide.set_weights(network.get_weights())
    x = images()
    expected = keras.Model(
        wide.inputs[0], [wide.get_layer(name).output for name in ("drop", "norm")]
    )(ops.pad(x / 127.5 - 1, ((0, 0), (0, 4), (0, 7), (0, 0))))
    first, second = model(x, training=True)
    assert keras.backend.standardize_dtype(first.dtype) == "float32"
    np.testing.assert_allclose(second[:, :11, :8], expected[1][:, :11, :8], rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(first, model(x)[0])
    assert model.trainable_variables == []


def _float32_config(network: keras.Model) -> dict:
    config = network.get_config()
    for layer in config["layers"]:
        layer["config"]["dtype"] = "float32"
    return config


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"layers": "block1_conv1"}, "`layers` must be a list of layer names"),
        ({"layers": []}, "`layers` must be a list of layer names"),
        ({"layers": ["a", "a"]}, "each once"),
        ({"layers": ["block2_conv3"]}, r"did you mean 'block2_conv2'\?"),
        ({"network": "vgg17"}, r"network='vgg17' \(did you mean 'vgg19'|'vgg16'"),
        ({"network": 3}, "`network` must be a `.keras` file or one of"),
        ({"network": "none.keras", "preprocessing": "tf"}, "`network` must be an existing file"),
        ({"network": "none.keras"}, "`preprocessing` must be given"),
        ({"network": "none.keras", "preprocessing": "tf", "weights": None}, "must be left out"),
        ({"preprocessing": "bgr"}, "`preprocessing` must be one of"),
        ({"weights": "none.weights.h5"}, "existing .weights.h5, .h5 or .keras file"),
    ],
)
def test_bad_arguments(arguments, message, monkeypatch):
    small_vgg(monkeypatch)
    with pytest.raises(ValueError, match=message):
        feature_network(**{"layers": LAYERS, **arguments})


def test_a_weights_file_of_another_network(monkeypatch, tmp_path):
    network = small_vgg(monkeypatch)
    file = str(tmp_path / "short.weights.h5")
    cut(network, "block1_conv2").save_weights(file)
    with pytest.raises(ValueError, match="whole or up to the deepest of `layers`"):
        feature_network(LAYERS, weights=file)


def test_imagenet_weights_without_network_access_end_in_one_line(monkeypatch):
    small_vgg(monkeypatch)
    with pytest.raises(ValueError, match="pass its path as `weights`") as caught:
        feature_network(LAYERS)
    assert "https://host/file" in str(caught.value)
    assert "\n" not in str(caught.value)
