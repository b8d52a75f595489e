"""What a file is compared with: the network that was given, in its own dtype, and no copy of it."""

import itertools

import keras
import numpy as np
import pytest
from keras import layers

from srm_keras.export import ExportError, deploy, fold, to_onnx, to_saved_model, to_tflite
from srm_keras.export.deploy import in_float32
from srm_keras.export.runners import TFLiteRunner, onnx_runner, saved_model_runner
from srm_keras.layers import recalibration
from srm_keras.layers.conventions import dtype_policy
from srm_keras.models import StylizationNet, remove_recalibration
from tests.support.weights import randomize

# RGB images as of ImageNet, about mean [120, 118, 100], each of its own colour and contrast.
RNG = np.random.default_rng(3)
CONTRAST = RNG.uniform(5, 60, (32, 1, 1, 1))
IMAGES = RNG.normal([120, 118, 100], 60, (32, 1, 1, 3)) + CONTRAST * RNG.normal(
    size=(32, 12, 12, 3)
)
IMAGES = IMAGES.astype("float32")
POLICIES = ("float32", "mixed_float16", "mixed_bfloat16")
RUNNERS = {
    "saved_model": (to_saved_model, saved_model_runner),
    "model.tflite": (to_tflite, TFLiteRunner),
    "model.onnx": (to_onnx, onnx_runner),
}


def network(policy="float32", first=None, module=None):
    """Normalization, convolution, batch norm, perhaps a module, ReLU, pool, classifier."""
    with dtype_policy(policy):
        normalization = first or layers.Normalization(name="normalization")
        x = image = keras.Input(IMAGES.shape[1:], name="image")
        x = layers.BatchNormalization(name="bn")(layers.Conv2D(8, 3)(normalization(x)))
        x = recalibration(module, name="recalibration")(x) if module else x
        x = layers.GlobalAveragePooling2D()(layers.ReLU()(x))
        x = layers.Dense(5, name="logits")(x)
        model = keras.Model(image, layers.Activation("softmax", dtype="float32")(x))
    randomize(model, seed=1)
    if first is None:
        normalization.adapt(IMAGES)
    return model


@pytest.mark.parametrize("module", [None, "srm"])
@pytest.mark.parametrize("policy", POLICIES)
def test_a_copy_of_an_adapted_network_computes_the_same(policy, module):
    model = network(policy, module=module)
    expected = model.predict(IMAGES, verbose=0)
    # The steps of numbers near 1 are 2⁻¹⁰ and 2⁻⁷, and logits reach 3.
    tolerance = {"float32": 1e-6, "mixed_float16": 4e-3, "mixed_bfloat16": 3e-2}[policy]
    assert np.ptp(expected, axis=0).max() > 0.1
    for copy in (in_float32(model), fold(model), deploy(model)):
        np.testing.assert_allclose(copy.predict(IMAGES, verbose=0), expected, atol=tolerance)


# Folded or not is the same for all files, which are written in float32 whatever the policy.
QUICKLY = [
    *(("float32", name, True) for name in RUNNERS),
    ("float32", "saved_model", False),
    ("mixed_float16", "saved_model", True),
    ("mixed_float16", "model.tflite", False),
]


@pytest.mark.parametrize(
    ("policy", "name", "folded"),
    [
        pytest.param(*case, marks=[] if case in QUICKLY else pytest.mark.slow)
        for case in itertools.product(["float32", "mixed_float16"], RUNNERS, [True, False])
    ],
)
def test_files_of_an_adapted_network_predict_what_it_predicts(policy, name, folded, tmp_path):
    if name == "model.onnx":
        pytest.importorskip("tf2onnx")
    export, runner = RUNNERS[name]
    model = network(policy)
    report = export(model, tmp_path / name, IMAGES, fold=folded)
    actual, expected = runner(tmp_path / name)(IMAGES), model.predict(IMAGES, verbose=0)
    tolerance = 1e-5 if policy == "float32" else 4e-3
    np.testing.assert_allclose(actual, expected, atol=tolerance)
    assert (actual.argmax(-1) == expected.argmax(-1)).mean() > 0.95
    assert ("own_precision" in report.details) == (policy != "float32")


class Unsaved(layers.Layer):
    """Divides by a number that neither its weights nor anything that Keras saves holds."""

    divisor = 1.0

    def call(self, inputs):
        return inputs / self.divisor


@pytest.mark.parametrize("policy", POLICIES)
def test_a_network_of_which_a_copy_computes_something_else_is_refused(policy, tmp_path):
    """With the copy as reference, the file agreed with it and was published 0.8 off."""
    with dtype_policy(policy):
        first = Unsaved()
    first.divisor = 100.0
    model = network(policy, first)
    for folded in (True, False):
        if policy == "float32" and not folded:
            continue  # The network itself is what is written.
        with pytest.raises(ExportError, match="was not written") as error:
            to_saved_model(model, tmp_path / "saved_model", IMAGES, fold=folded)
        assert policy == "float32" or policy[len("mixed_") :] in str(error.value)
    assert not any(tmp_path.iterdir())


def test_a_fixed_size_is_compared_with_the_network_of_any_size(tmp_path):
    model = StylizationNet(normalization="batch", filters=4, blocks=1)
    first = Unsaved(name="unsaved")
    image = keras.Input((None, None, 3), name="image")
    outer = keras.Model(image, model(first(image)))
    first.divisor = 2.0
    with pytest.raises(ExportError, match=r"model\.tflite was not written"):
        to_tflite(outer, tmp_path / "model.tflite", IMAGES, input_shape=(12, 12, 3))


def test_a_report_says_what_half_precision_costs(tmp_path):
    model = network("mixed_float16")
    details = to_saved_model(model, tmp_path / "saved_model", IMAGES).details["own_precision"]
    own, exact = model.predict(IMAGES, verbose=0), in_float32(model).predict(IMAGES, verbose=0)
    assert details["dtype"] == "float16"
    assert details["max_error"] == pytest.approx(np.abs(own - exact).max(), rel=1e-3)
    assert 25.0 == details["min_snr_db"] < details["snr_db"] < 100
    text = (tmp_path / "report.md").read_text()
    assert f"differs from it in float16 by up to {details['max_error']:.1e}" in text


def test_networks_of_outputs_that_hardly_differ_are_exported_from_half_precision(tmp_path):
    """Fresh networks give nearly equal scores, in which rounding is all there is."""
    model = network("mixed_float16")
    logits = model.get_layer("logits")
    logits.set_weights([1e-4 * weight for weight in logits.get_weights()])
    report = to_saved_model(model, tmp_path / "saved_model", IMAGES)
    assert report.details["own_precision"]["max_error"] < 2**-10


def test_networks_of_float16_weights_are_merged_in_float32(tmp_path):
    """Merged in float16, where the weights are rounded once more, a file was 3e-5 off."""
    model = network("float16", module="srm")
    report = to_tflite(model, tmp_path / "model.tflite", IMAGES)
    assert report.details["own_precision"]["dtype"] == "float16"
    assert report.parity.max_error <= 1e-6


MODULES = [
    *("se", "srm"),
    *(
        pytest.param(m, marks=pytest.mark.slow)
        for m in ("cbam", {"name": "srm", "integration": "mlp"})
    ),
]


NOT_QUANTIZED = "does not have a `quantize` method|stay as they are|do not support quantization"
"""What Keras says of layers, one by one up to 3.15, and modules of themselves."""


@pytest.fixture(params=MODULES, ids=str)
def quantized(request):
    model = network(module=request.param)
    with pytest.warns(UserWarning, match=NOT_QUANTIZED):
        model.quantize("int8")
    assert model.get_layer("logits").quantization_mode == "int8"
    return model


def test_networks_that_keras_quantized_are_saved_folded_and_exported(quantized, tmp_path):
    expected = quantized.predict(IMAGES, verbose=0)
    quantized.save(tmp_path / "model.keras")
    to_saved_model(quantized, tmp_path / "saved_model", IMAGES)
    copies = [
        keras.saving.load_model(tmp_path / "model.keras").predict(IMAGES, verbose=0),
        fold(quantized).predict(IMAGES, verbose=0),
        deploy(quantized).predict(IMAGES, verbose=0),
        saved_model_runner(tmp_path / "saved_model")(IMAGES),
    ]
    for copy in copies:
        np.testing.assert_allclose(copy, expected, atol=1e-5)
    assert remove_recalibration(quantized).get_layer("logits").quantization_mode == "int8"


@pytest.mark.parametrize("nested", [False, True])
def test_tflite_refuses_what_keras_quantized_by_the_layers_name(nested, tmp_path):
    model = network()
    with pytest.warns(UserWarning, match=NOT_QUANTIZED):
        model.quantize("int8")
    if nested:
        image = keras.Input(IMAGES.shape[1:])
        model = keras.Model(image, model(image))
    for export_format in ("float32", "int8"):
        with pytest.raises(ValueError, match=r"Received: 'logits', a Dense in int8$"):
            to_tflite(model, tmp_path / "model.tflite", IMAGES, export_format)


@pytest.mark.parametrize("nested", [False, True])
def test_lookups_go_into_a_saved_model_and_are_refused_by_onnx(nested, tmp_path):
    numbers = np.random.default_rng(0).integers(0, 9, (16, 4)).astype("float32")
    lookup = layers.IntegerLookup(name="lookup")
    lookup.adapt(numbers.astype("int64"))
    x = image = keras.Input((4,), name="image")
    x = layers.Embedding(12, 3)(lookup(keras.ops.cast(x, "int64")))
    model = keras.Model(image, layers.Dense(3)(layers.Flatten()(x)))
    randomize(model, seed=4)
    if nested:
        image = keras.Input((4,), name="image")
        model = keras.Model(image, model(image))
    for folded in (True, False):
        to_saved_model(model, tmp_path / "saved_model", numbers, fold=folded)
        actual = saved_model_runner(tmp_path / "saved_model")(numbers)
        np.testing.assert_allclose(actual, model.predict(numbers, verbose=0), atol=1e-6)
    pytest.importorskip("tf2onnx")
    with pytest.raises(ExportError, match="not written as ONNX: its lookup table"):
        to_onnx(model, tmp_path / "model.onnx", numbers)


@pytest.mark.slow
def test_efficientnet_is_exported_to_onnx(tmp_path):
    pytest.importorskip("tf2onnx")
    model = keras.applications.EfficientNetB0(weights=None, input_shape=(32, 32, 3), classes=10)
    randomize(model, seed=2)
    for layer in model.layers:
        if isinstance(layer, layers.Normalization):
            layer.adapt(IMAGES)
    images = np.random.default_rng(0).uniform(0, 255, (4, 32, 32, 3)).astype("float32")
    to_onnx(model, tmp_path / "model.onnx", images, tolerance=1e-4)
    actual = onnx_runner(tmp_path / "model.onnx")(images)
    np.testing.assert_allclose(actual, model.predict(images, verbose=0), atol=1e-4)
