"""One network in every format: all predict what Keras does on images prepared by NumPy."""

import json
import shutil

import keras
import numpy as np
import pytest
import tensorflow as tf

from srm_keras.data import Preprocessing
from srm_keras.export.predictor import load_predictor, read_classes
from srm_keras.export.serving.saved_model import to_saved_model
from srm_keras.export.tflite.metadata import add_metadata
from srm_keras.interop.trained import read_preprocessing
from srm_keras.layers import SRM
from tests.support.weights import feature_map, randomize

PREPROCESSING = Preprocessing(image_size=8, mean=(0.4, 0.5, 0.6), std=(0.2, 0.25, 0.5))
CLASSES = ("disc", "ring", "star")
FORMATS = ["run", "run/last.keras", "saved_model", "model.tflite", "model.onnx"]


def network():
    inputs = keras.Input((8, 8, 3), name="image")
    x = SRM(name="recalibration")(keras.layers.Conv2D(4, 3, activation="relu")(inputs))
    x = keras.layers.GlobalAveragePooling2D()(x)
    model = keras.Model(inputs, keras.layers.Dense(3, activation="softmax")(x))
    randomize(model)
    return model


@pytest.fixture(scope="module")
def model():
    return network()


@pytest.fixture(scope="module")
def files(model, tmp_path_factory):
    """A folder with the network in every format but ONNX."""
    folder = tmp_path_factory.mktemp("files")
    (folder / "run").mkdir()
    for name in ("best.keras", "last.keras"):
        model.save(folder / "run" / name)
    write_companions(folder / "run")
    samples = feature_map((2, 8, 8, 3))
    options = {"preprocessing": PREPROCESSING, "classes": CLASSES}
    to_saved_model(model, folder / "saved_model", samples, **options)
    (folder / "model.tflite").write_bytes(as_tflite(model, folder / "plain"))
    shutil.copy(folder / "model.tflite", folder / "bare.tflite")
    add_metadata(folder / "model.tflite", PREPROCESSING, CLASSES)
    return folder


def as_tflite(model, folder):
    model.export(folder, verbose=False)
    return tf.lite.TFLiteConverter.from_saved_model(str(folder)).convert()


def write_companions(folder):
    (folder / "preprocessing.json").write_text(json.dumps(PREPROCESSING.to_dict()))
    (folder / "classes.json").write_text(json.dumps(CLASSES))


@pytest.fixture(scope="module")
def onnx_file(model, files):
    pytest.importorskip("tf2onnx")
    pytest.importorskip("onnxruntime")
    from srm_keras.export.onnx import to_onnx

    samples = feature_map((2, 8, 8, 3))
    options = {"preprocessing": PREPROCESSING, "classes": CLASSES}
    to_onnx(model, files / "model.onnx", samples, **options)


def images():
    """One of the network's size, one with a margin to cut away."""
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (side, side, 3), "uint8") for side in (8, 12)]


def expected_scores(model):
    exact = np.stack([image if len(image) == 8 else image[2:-2, 2:-2] for image in images()])
    x = (exact / 255 - PREPROCESSING.mean) / PREPROCESSING.std
    return model.predict(x.astype("float32"), verbose=0)


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_predicts_the_same(name, model, files, request):
    if name == "model.onnx":
        request.getfixturevalue("onnx_file")
    predictor = load_predictor(files / name)
    assert predictor.classes == CLASSES
    assert predictor.preprocessing == PREPROCESSING
    np.testing.assert_allclose(predictor.scores(images()), expected_scores(model), atol=1e-6)


def test_a_file_that_says_nothing_takes_what_lies_beside_it(files, model, tmp_path):
    path = shutil.copy(files / "bare.tflite", tmp_path / "model.tflite")
    write_companions(tmp_path)
    predictor = load_predictor(path)
    assert predictor.classes == CLASSES
    np.testing.assert_allclose(predictor.scores(images()), expected_scores(model), atol=1e-6)


def test_what_is_given_goes_before_what_is_found(files):
    grey = Preprocessing(image_size=8, mean=0.0, std=1.0)
    predictor = load_predictor(files / "model.tflite", grey, ["a", "b", "c"])
    assert (predictor.preprocessing, predictor.classes) == (grey, ("a", "b", "c"))


def test_without_names_classes_are_numbers(files):
    predictor = load_predictor(files / "bare.tflite", PREPROCESSING)
    assert predictor.classes is None
    assert predictor.class_name(2) == "2"


@pytest.mark.parametrize(
    ("name", "preprocessing", "classes", "message"),
    [
        ("nowhere", None, None, "'.*nowhere', which does not exist"),
        (".", None, None, "a folder of another kind"),
        ("notes.txt", None, None, "another file"),
        ("bare.tflite", None, None, "does not say how its images are to be prepared"),
        ("bare.tflite", Preprocessing(image_size=9), None, "image_size=9, channels=3"),
        ("bare.tflite", Preprocessing(image_size=8, channels=1), None, "channels=1"),
        ("run", Preprocessing(image_size=9), None, "image_size=9, channels=3"),
        ("saved_model", Preprocessing(image_size=9), None, "image_size=9, channels=3"),
        ("bare.tflite", PREPROCESSING, ("a", "b"), "network has scores, 3. Received: 2"),
        ("broken.tflite", PREPROCESSING, None, "a network that can be loaded"),
        ("broken.keras", PREPROCESSING, None, "a network that can be loaded"),
        ("features.keras", PREPROCESSING, None, r"a classifier.*shape \(1, 6, 6, 4\)"),
    ],
)
def test_what_cannot_be_used_is_told(name, preprocessing, classes, message, files, model, tmp_path):
    (files / "notes.txt").write_text("")
    for suffix in ("tflite", "keras"):
        (files / f"broken.{suffix}").write_text("no model")
    if name == "features.keras":
        keras.Model(model.input, model.get_layer("recalibration").output).save(files / name)
    with pytest.raises(ValueError, match=message) as caught:
        load_predictor(files / name, preprocessing, classes)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "read", "message"),
    [
        ("{", read_preprocessing, "cannot be read"),
        ("[]", read_preprocessing, "holds no preprocessing"),
        ('{"image_side": 3}', read_preprocessing, "no attribute 'image_side'"),
        ('{"image_size": "8"}', read_preprocessing, "must be a positive integer"),
        ("[1, 2]", read_classes, "no list of class names"),
        ('"disc"', read_classes, "no list of class names"),
    ],
)
def test_other_json_is_told(content, read, message, tmp_path):
    path = tmp_path / "file.json"
    path.write_text(content)
    with pytest.raises(ValueError, match=message) as caught:
        read(path)
    assert str(path) in str(caught.value)


def test_class_names_may_be_text(tmp_path):
    (tmp_path / "names.txt").write_text("disc\nring, thin\n", encoding="utf-8")
    assert read_classes(tmp_path / "names.txt") == ("disc", "ring, thin")
    with pytest.raises(ValueError, match="cannot be read"):
        read_classes(tmp_path / "missing.txt")


@pytest.mark.parametrize("content", [b"", b"\xff" * 50, b"version https://git-lfs"])
def test_what_is_no_onnx_file_is_one_line_that_names_it(content, tmp_path):
    pytest.importorskip("onnx")
    path = tmp_path / "model.onnx"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"model.onnx'") as caught:
        load_predictor(path, Preprocessing(8))
    assert "\n" not in str(caught.value)
