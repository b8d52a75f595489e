"""Stylization networks in every format, against the Keras model."""

import re

import keras
import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter

from srm_keras.data import Preprocessing
from srm_keras.export import ExportError, folding_plan, to_saved_model, to_tflite
from srm_keras.export.deploy import with_input_shape
from srm_keras.export.formats import StylizerSource, export_formats
from srm_keras.export.report import read_reports
from srm_keras.export.serving import saved_model
from srm_keras.export.serving.signatures import image_signatures
from srm_keras.models.stylization import StylizationNet
from tests.support.photos import photos
from tests.support.weights import randomize

MODULES = [None, "se", "srm", "eca", "cbam", "simam", "gct", "fca"]
VARIANTS = [
    pytest.param(
        normalization,
        module,
        marks=[] if (normalization, module) == ("batch", "srm") else pytest.mark.slow,
    )
    for normalization in ("batch", "instance")
    for module in MODULES
]
LARGEST_FLOAT32_ERROR = 1e-4  # random CBAM amplifies float32's own rounding, 4e-5 seen


def stylizer(normalization="batch", module="srm", input_shape=None):
    model = StylizationNet(normalization, module, filters=4, blocks=1, input_shape=input_shape)
    randomize(model, seed=1)
    model.get_layer("output_conv").bias.assign([100.0, 130.0, 160.0])
    return model


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """A network, its SavedModel, and a TFLite file for any size."""
    folder, model = tmp_path_factory.mktemp("stylizer"), stylizer()
    samples = photos(2, 20, 28)
    to_saved_model(model, folder / "saved_model", samples, image_output=True)
    to_tflite(model, folder / "model.tflite", samples)
    return model, folder


@pytest.fixture(scope="module")
def loaded(exported):
    return tf.saved_model.load(exported[1] / "saved_model")


@pytest.mark.parametrize("side", [(24, 32), (21, 35)])
def test_a_saved_model_paints_images_of_any_size(exported, loaded, side):
    model, _ = exported
    images = photos(1, *side, seed=1)
    expected = model(images, training=False).numpy()
    painted = loaded.signatures["serving_default"](image=tf.constant(images))["output_0"]
    np.testing.assert_allclose(painted, expected, rtol=0, atol=1e-2)
    raw = images.round().astype("uint8")
    expected = np.clip(model(raw.astype("float32"), training=False), 0, 255)
    pixels = loaded.signatures["serve_uint8"](image=tf.constant(raw))["output_0"].numpy()
    assert pixels.dtype == np.uint8
    assert np.abs(pixels - expected.astype("float64")).max() <= 0.51
    assert expected.std() > 1


def test_files_of_several_sizes_come_back_as_png_of_theirs(exported, loaded):
    model, _ = exported
    images = [photos(1, *side)[0].astype("uint8") for side in ((20, 28), (33, 17))]
    files = [tf.io.encode_png(images[0]), tf.io.encode_jpeg(images[1])]
    answers = loaded.signatures["serve_jpeg"](image_bytes=tf.stack(files))["output_0"].numpy()
    for file, answer in zip(files, answers, strict=True):
        assert answer.startswith(b"\x89PNG")
        image = tf.io.decode_image(file).numpy()
        if file is files[1]:
            image = tf.io.decode_jpeg(file, dct_method="INTEGER_ACCURATE").numpy()
        expected = np.clip(model(image[None].astype("float32"), training=False)[0], 0, 255)
        pixels = tf.io.decode_png(answer).numpy().astype("float64")
        assert np.abs(pixels - expected).max() <= 0.51


@pytest.mark.parametrize("content", [b"", b"not a picture", b"\x89PNG\r\n\x1a\n" + b"\0" * 30])
def test_what_is_no_picture_is_an_invalid_argument(loaded, content):
    with pytest.raises(tf.errors.InvalidArgumentError):
        loaded.signatures["serve_jpeg"](image_bytes=tf.constant([content]))


def test_images_too_small_to_reflect_are_refused(loaded):
    with pytest.raises(tf.errors.InvalidArgumentError):
        loaded.signatures["serve_uint8"](image=tf.zeros((1, 3, 3, 3), tf.uint8))


def run_resized(path, images):
    interpreter = Interpreter(str(path), num_threads=1)
    (details,) = interpreter.get_input_details()
    interpreter.resize_tensor_input(details["index"], images.shape)
    interpreter.allocate_tensors()
    interpreter.set_tensor(details["index"], images)
    interpreter.invoke()
    return interpreter.get_tensor(interpreter.get_output_details()[0]["index"])


@pytest.mark.parametrize("side", [(24, 32), (21, 35)])
def test_a_tflite_file_is_resized_to_any_size(exported, side):
    model, folder = exported
    images = photos(2, *side, seed=2)
    expected = model(images, training=False).numpy()
    painted = run_resized(folder / "model.tflite", images)
    np.testing.assert_allclose(painted, expected, rtol=0, atol=1e-4 * np.abs(expected).max())


def test_the_report_speaks_of_grey_levels(exported):
    report = (exported[1] / "report.md").read_text()
    assert report.count("of 255, PSNR ") == 2
    assert report.count("at most 0.25 grey levels (") == 2
    assert re.search(r"grey levels \(\d[\d.e-]* % used\)", report)
    assert {"serve_uint8", "serve_jpeg"} == set(
        read_reports(exported[1])[0]["details"]["signatures"]
    )


@pytest.mark.parametrize(("normalization", "module"), VARIANTS)
def test_a_file_of_one_size_is_one_piece_without_batch_norm(normalization, module, tmp_path):
    model = stylizer(normalization, module)
    assert not folding_plan(model).kept
    report = to_tflite(
        model,
        tmp_path / "model.tflite",
        photos(2, 24, 28),
        batch_size=1,
        input_shape=(24, 28, 3),
        tolerance=LARGEST_FLOAT32_ERROR,
    )
    assert report.input_shape == (None, 24, 28, 3)
    assert report.details["partitions"] == 1
    assert not {"MIRROR_PAD", "TILE", "RESIZE_NEAREST_NEIGHBOR"} & set(report.details["operators"])


@pytest.mark.slow
@pytest.mark.parametrize("normalization", ["batch", "instance"])
@pytest.mark.parametrize("module", MODULES)
def test_float16_and_saved_model(normalization, module, tmp_path):
    model, samples = stylizer(normalization, module), photos(2, 24, 28)
    report = to_tflite(model, tmp_path / "m.tflite", samples, "float16", min_snr_db=25)
    assert report.parity.snr_db > 25
    options = {"image_output": True, "tolerance": LARGEST_FLOAT32_ERROR}
    report = to_saved_model(model, tmp_path / "saved_model", samples, **options)
    assert report.parity.max_error <= LARGEST_FLOAT32_ERROR * report.parity.max_output


@pytest.mark.slow
def test_a_module_that_needs_a_size_gets_it(tmp_path):
    model = stylizer("batch", {"name": "ge", "params": "theta_minus"})
    report = to_tflite(model, tmp_path / "m.tflite", photos(1, 16, 16), input_shape=(16, 16, 3))
    assert report.details["partitions"] == 1


@pytest.mark.slow
def test_all_formats_in_one_call(tmp_path):
    source = StylizerSource(stylizer(), photos(2, 16, 16), fixed=True)
    reports = []
    names = ["float16", "web"]
    assert not export_formats(source, tmp_path, names, reports.append)
    assert [report.file for report in reports] == ["model_float16.tflite", "web"]
    assert {report.input_shape for report in reports} == {(None, 16, 16, 3)}
    assert [report.bound.max_grey_levels for report in reports] == [1.0, 0.25]


def test_a_copy_for_one_size_computes_the_same():
    model = stylizer()
    images = photos(1, 21, 35)
    copy = with_input_shape(model, (21, 35, 3))
    assert copy.input_shape == (None, 21, 35, 3)
    assert copy.inputs[0].name == "image"
    np.testing.assert_allclose(copy(images), model(images, training=False), rtol=0, atol=1e-3)
    assert model.input_shape == (None, None, None, 3)


@pytest.mark.parametrize("shape", [(8, 8), (8, 8, 1), (0, 8, 3), (8.0, 8, 3), "8x8", (3, 3, 3)])
def test_shapes_that_do_not_fit_are_refused(exported, shape):
    with pytest.raises(ValueError, match="`input_shape` must be"):
        with_input_shape(exported[0], shape)


def test_wrong_arguments_are_refused_before_anything_is_written(tmp_path):
    classifier = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Flatten()])
    with pytest.raises(ValueError, match="`image_output` needs a model from images"):
        to_saved_model(classifier, tmp_path / "a", photos(1, 8, 8), image_output=True)
    with pytest.raises(ValueError, match="`image_output` must be False for a network with"):
        to_saved_model(
            stylizer(),
            tmp_path / "a",
            photos(1, 8, 8),
            preprocessing=Preprocessing(image_size=8),
            image_output=True,
        )
    with pytest.raises(ValueError, match="`image_output` must be True or False"):
        to_saved_model(stylizer(), tmp_path / "a", photos(1, 8, 8), image_output=1)
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_pixels_that_are_not_those_of_keras_are_not_published(tmp_path, monkeypatch):
    def darker(network):
        signatures = image_signatures(network)
        pixels = signatures["serve_uint8"]
        spec = tf.TensorSpec((None, None, None, 3), tf.uint8, name="image")
        wrong = tf.function(lambda image: {"output_0": pixels(image)["output_0"] // 2})
        return {**signatures, "serve_uint8": wrong.get_concrete_function(spec)}

    monkeypatch.setattr(saved_model, "image_signatures", darker)
    with pytest.raises(ExportError, match="pixels of serve_uint8 differ"):
        to_saved_model(stylizer(), tmp_path / "a", photos(1, 8, 8), image_output=True)
    assert not list(tmp_path.iterdir())
