import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter

from srm_keras.data import Preprocessing
from srm_keras.export import ExportError, to_onnx, to_saved_model, to_tflite
from srm_keras.export.web.exporter import WebRunner, to_web
from srm_keras.layers import recalibration
from tests.export.conftest import small_network
from tests.support.networks import SHAPE
from tests.support.networks import small_network as resnet_of_every_option
from tests.support.specs import every_module, spec_id
from tests.support.weights import feature_map, randomize

MODULES = every_module("srm")
FILES = {to_saved_model: "saved_model", to_tflite: "model.tflite"}
SAMPLES = feature_map((5, 8, 8, 3))

exporters = pytest.mark.parametrize("export", FILES, ids=FILES.values())


def run_saved_model(path, images):
    function = tf.saved_model.load(str(path)).signatures["serving_default"]
    return function(image=tf.constant(images))["output_0"].numpy()


def run_tflite(path, images):
    interpreter = Interpreter(str(path))
    return interpreter.get_signature_runner("serving_default")(image=images)["output_0"]


@pytest.mark.parametrize("module", MODULES)
def test_exported_files_compute_what_the_network_computes(export_once, module):
    exported = export_once(module)
    expected = exported.model(exported.samples, training=False).numpy()
    assert np.ptp(expected, axis=-1).min() > 1e-3
    for run, path in ((run_saved_model, exported.saved_model), (run_tflite, exported.tflite)):
        for batch in (1, 5):
            actual = run(path, exported.samples[:batch])
            assert actual.shape == (batch, 10)
            np.testing.assert_allclose(actual, expected[:batch], rtol=0, atol=1e-5)


@pytest.mark.slow
def test_every_option_of_resnets_is_written(tmp_path):
    """Groups, deep stems and averages; exporters compare each file with the network."""
    model = resnet_of_every_option("variant", "srm")
    randomize(model)
    samples = feature_map((16, *SHAPE))
    assert to_saved_model(model, tmp_path / "saved", samples).parity.max_error > 0
    assert to_tflite(model, tmp_path / "model.tflite", samples).parity.max_error > 0
    int8 = to_tflite(model, tmp_path / "int8.tflite", samples, "int8", representative=samples)
    assert int8.size_bytes < 0.4 * model.count_params() * 4


def test_reports_hold_what_was_measured(export_once):
    exported = export_once("srm")
    expected = np.asarray(exported.model(exported.samples, training=False), "float64")
    for report, path, run in (
        (exported.saved_model_report, exported.saved_model, run_saved_model),
        (exported.tflite_report, exported.tflite, run_tflite),
    ):
        errors = np.abs(run(path, exported.samples) - expected)
        assert report.file == path.name
        assert report.parity.samples == 5
        assert report.parity.max_error == pytest.approx(errors.max(), abs=3e-7)
        assert report.parity.max_error > 0
        assert report.parity.top1_agreement == 1.0
        files = [path] if path.is_file() else [f for f in path.rglob("*") if f.is_file()]
        assert report.size_bytes == sum(len(file.read_bytes()) for file in files)
        assert report.input_shape == (None, 16, 16, 3)
        assert report.output_shape == (None, 10)
        assert report.keras_parameters == exported.model.count_params()
        assert 4 * report.parameters < report.size_bytes
        assert report.folded
        assert report.batch_norm_kept == {}
        assert min(latency.lower for latency in report.latency_ms.values()) > 0


def test_folding_takes_four_numbers_a_channel_away_and_gives_one_back(export_once):
    exported = export_once("srm")
    channels_of_networks = sum(
        layer.gamma.shape[0]
        for layer in exported.model.layers
        if isinstance(layer, keras.layers.BatchNormalization)
    )
    channels_of_srm = 16 + 32 + 64
    removed = exported.model.count_params() - exported.tflite_report.parameters
    assert removed == 3 * (channels_of_networks + channels_of_srm)


def test_one_report_holds_all_exports_to_a_folder(export_once):
    exported = export_once("srm")
    folder = exported.tflite.parent
    reports = json.loads((folder / "report.json").read_text())["exports"]
    assert reports == [exported.saved_model_report.to_dict(), exported.tflite_report.to_dict()]
    page = (folder / "report.md").read_text()
    for report in reports:
        assert f"| {report['file']} | {report['format']} |" in page
        assert f"{report['parity']['max_error']:.1e}" in page
    assert {path.name for path in folder.iterdir()} == {
        "saved_model",
        "model.tflite",
        "report.json",
        "report.md",
    }


@exporters
def test_nothing_is_left_where_the_outputs_differ_too_much(export, small_model, tmp_path):
    path = tmp_path / FILES[export]
    with pytest.raises(ExportError, match=f"{path.name} was not written: its outputs differ"):
        export(small_model, path, SAMPLES, tolerance=0)
    assert list(tmp_path.iterdir()) == []


@exporters
def test_a_good_file_is_replaced_by_a_good_one_and_by_no_other(export, small_model, tmp_path):
    path = tmp_path / FILES[export]
    export(small_model, path, SAMPLES, fold=False)
    before = {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()}

    with pytest.raises(ExportError):
        export(small_model, path, SAMPLES, tolerance=0)
    assert before == {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()}

    report = export(small_model, path, SAMPLES)
    assert report.folded
    assert json.loads((tmp_path / "report.json").read_text())["exports"] == [report.to_dict()]
    assert len(list(tmp_path.iterdir())) == 3


@exporters
def test_logits_are_held_to_a_relative_bound(export, small_model, tmp_path):
    features = small_model.get_layer("pool").output
    logits = keras.layers.Dense(5, kernel_initializer=keras.initializers.Constant(1e4))
    model = keras.Model(small_model.input, logits(features))
    report = export(model, tmp_path / FILES[export], SAMPLES)
    assert report.parity.max_output > 1e3
    assert report.parity.max_error <= 1e-5 * report.parity.max_output


def test_without_folding_batch_norm_stays_and_parity_holds(small_model, tmp_path):
    report = to_tflite(small_model, tmp_path / "model.tflite", SAMPLES, fold=False)
    assert report.parameters == report.keras_parameters == small_model.count_params()
    assert not report.folded


def test_unmerged_batch_norm_is_reported(tmp_path):
    inputs = keras.Input((8, 8, 3), name="image")
    model = keras.Model(inputs, keras.layers.BatchNormalization(name="bn")(inputs))
    randomize(model)
    report = to_tflite(model, tmp_path / "model.tflite", SAMPLES)
    assert list(report.batch_norm_kept) == ["bn"]
    assert report.parity.top1_agreement is None
    assert "kept `bn`: its input 'image'" in (tmp_path / "report.md").read_text()


@pytest.mark.parametrize(
    "module",
    [
        pytest.param(None, marks=pytest.mark.slow),
        "srm",
        {"name": "ge", "extent": 2},
        {"name": "ge", "extent": 4, "params": "theta_minus"},
    ],
    ids=spec_id,
)
def test_height_and_width_may_be_unknown(module, tmp_path):
    inputs = keras.Input((None, None, 3), name="image")
    x = keras.layers.Conv2D(4, 3, padding="same")(inputs)
    x = recalibration(module, name="module")(x) if module else x
    model = keras.Model(inputs, keras.layers.GlobalAveragePooling2D()(x))
    randomize(model)
    to_tflite(model, tmp_path / "model.tflite", SAMPLES)
    to_saved_model(model, tmp_path / "saved_model", SAMPLES)
    images = feature_map((2, 11, 5, 3))
    expected = model(images)
    for actual in (
        run_tflite(tmp_path / "model.tflite", images),
        run_saved_model(tmp_path / "saved_model", images),
    ):
        np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-5)


def two_inputs():
    inputs = [keras.Input((8, 8, 3)), keras.Input((8, 8, 3))]
    return keras.Model(inputs, keras.layers.Add()(inputs), name="two")


WRONG_ARGUMENTS = {
    "uint8": ({"samples": np.zeros((2, 8, 8, 3), "uint8")}, "`samples` must be .* floating"),
    "empty": ({"samples": SAMPLES[:0]}, "`samples` must be a non-empty"),
    "shape": ({"samples": SAMPLES[:, :4]}, r"\(None, 8, 8, 3\).*float32 of shape \(5, 4, 8, 3\)"),
    "rank": ({"samples": SAMPLES[0]}, r"`samples` must be .*\(8, 8, 3\)"),
    "nan": ({"samples": SAMPLES * np.nan}, "`samples` must be finite"),
    "tolerance": ({"tolerance": -1}, "`tolerance` must be .* Received: tolerance=-1"),
    "tolerance-nan": ({"tolerance": float("nan")}, "`tolerance` must be .*nan"),
    "fold": ({"fold": "yes"}, "`fold` must be True or False. Received: fold='yes'"),
    "unbuilt": ({"model": keras.Sequential([keras.layers.ReLU()])}, "with known inputs"),
    "inputs": ({"model": two_inputs()}, "`model` must have one input.*'two' with 2 and 1"),
    "no-model": ({"model": None}, "`model` must be a keras.Model"),
}


@exporters
@pytest.mark.parametrize("case", WRONG_ARGUMENTS)
def test_wrong_arguments_are_refused_before_anything_is_written(
    export, case, untouched_model, tmp_path
):
    changes, message = WRONG_ARGUMENTS[case]
    arguments = {"model": untouched_model, "samples": SAMPLES, **changes}
    with pytest.raises(ValueError, match=message):
        export(path=tmp_path / FILES[export], **arguments)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_no_saved_model_is_not_replaced(small_model, tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(ValueError, match="`path` must be a new or empty folder, or a SavedModel"):
        to_saved_model(small_model, tmp_path, SAMPLES)
    with pytest.raises(ValueError, match="`path` must be a new or empty folder"):
        to_saved_model(small_model, tmp_path / "thesis.txt", SAMPLES)
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


@pytest.mark.parametrize("name", ["model", "model.lite", "folder.tflite"])
def test_a_tflite_path_must_be_a_tflite_file(name, untouched_model, tmp_path):
    (tmp_path / "folder.tflite").mkdir()
    with pytest.raises(ValueError, match=r"`path` must be a file \*.tflite"):
        to_tflite(untouched_model, tmp_path / name, SAMPLES)


@exporters
@pytest.mark.parametrize("content", ["", "[]", '{"exports": [{}]}', '{"accuracy": 1}'])
def test_a_foreign_report_is_not_overwritten(export, content, untouched_model, tmp_path):
    (tmp_path / "report.json").write_text(content)
    with pytest.raises(ValueError, match=r"must not lie beside a report.json"):
        export(untouched_model, tmp_path / FILES[export], SAMPLES)
    assert [path.name for path in tmp_path.iterdir()] == ["report.json"]
    assert (tmp_path / "report.json").read_text() == content


@exporters
def test_sequential_models_are_exported_too(export, tmp_path):
    layers = [keras.layers.Conv2D(4, 3), keras.layers.BatchNormalization(), keras.layers.Flatten()]
    model = keras.Sequential([keras.Input((8, 8, 3)), *layers])
    randomize(model)
    report = export(model, tmp_path / FILES[export], SAMPLES)
    assert report.keras_parameters - report.parameters == 4 * 4
    assert report.output_shape == (None, 144)


@pytest.mark.parametrize(
    ("export", "fold"),
    [
        (to_saved_model, True),
        (to_tflite, False),
        pytest.param(to_saved_model, False, marks=pytest.mark.slow),
        pytest.param(to_tflite, True, marks=pytest.mark.slow),
    ],
)
def test_mixed_precision_networks_are_exported_in_float32(export, fold, tmp_path):
    exact = small_network()
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16")
    try:
        mixed = small_network()
    finally:
        keras.config.set_dtype_policy(before)
    samples = SAMPLES[:3]
    assert np.abs(mixed(samples) - np.asarray(exact(samples))).max() > 1e-5

    path = tmp_path / FILES[export]
    report = export(mixed, path, samples, fold=fold, preprocessing=Preprocessing(8))

    assert report.parity.max_error <= 1e-5
    run = run_tflite if export is to_tflite else run_saved_model
    np.testing.assert_allclose(run(path, samples), exact(samples), rtol=0, atol=1e-5)


def scores_of(x):
    x = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(4, 3, activation="relu")(x))
    return keras.layers.Dense(3, activation="softmax")(x)


def alone_in_dicts():
    image = keras.Input(batch_shape=(1, 8, 8, 3), name="image")
    return keras.Model({"picture": image}, {"scores": scores_of(image)})


def of_bytes():
    image = keras.Input((8, 8, 3), dtype="uint8", name="image")
    return keras.Model([image], [scores_of(keras.layers.Rescaling(1 / 255)(image))])


def run_onnx(path, images):
    session = pytest.importorskip("onnxruntime").InferenceSession(path)
    return session.run(["output_0"], {"image": images})[0]


EVERY_FILE = {
    "saved_model": (to_saved_model, run_saved_model),
    "model.tflite": (to_tflite, run_tflite),
    "model.onnx": (to_onnx, run_onnx),
    "web": (to_web, lambda path, images: WebRunner(path)(images)),
}


@pytest.mark.parametrize("file", EVERY_FILE)
def test_one_tensor_may_stand_in_dicts_and_its_batch_be_fixed(file, tmp_path):
    if file == "model.onnx":
        pytest.importorskip("tf2onnx")
    export, run = EVERY_FILE[file]
    model = alone_in_dicts()
    randomize(model)
    options = {"preprocessing": Preprocessing(8)} if export is to_web else {}
    report = export(model, tmp_path / file, SAMPLES, classes=["a", "b", "c"], **options)
    assert report.parity.max_error < 1e-6
    expected = np.concatenate([model({"picture": x[None]})["scores"] for x in SAMPLES])
    np.testing.assert_allclose(run(tmp_path / file, SAMPLES), expected, rtol=0, atol=1e-5)
    model.save(tmp_path / "model.keras")  # Still as it was.
    assert list(model({"picture": SAMPLES[:1]})) == ["scores"]


@pytest.mark.parametrize("file", EVERY_FILE)
def test_networks_that_read_bytes_are_compared_on_bytes(file, tmp_path):
    export, run = EVERY_FILE[file]
    model = of_bytes()
    randomize(model)
    raw = np.random.default_rng(0).integers(0, 256, (5, 8, 8, 3))
    web = {"preprocessing": Preprocessing(8), "classes": "abc"} if export is to_web else {}
    for samples in (raw.astype("float32"), raw + 1000, raw - 1, raw / 255):
        with pytest.raises(ValueError, match="`samples` must be a non-empty array of uint8"):
            export(model, tmp_path / file, samples, **web)
    if export is to_web:
        with pytest.raises(ValueError, match=r"`preprocessing` must be None for .* uint8"):
            export(model, tmp_path / file, raw, **web)
        return
    if file == "model.onnx":
        pytest.importorskip("tf2onnx")
    export(model, tmp_path / file, raw)
    images = raw.astype("uint8")
    (expected,) = keras.tree.flatten(model(images, training=False))
    np.testing.assert_allclose(run(tmp_path / file, images), expected, rtol=0, atol=1e-5)
    if export is to_tflite:
        report = export(model, tmp_path / "int8.tflite", raw, "int8", min_snr_db=10)
        assert report.parity.max_error < 0.1


@exporters
@pytest.mark.parametrize("of", ["reshaped", "summed"])
def test_networks_of_one_batch_size_alone_are_refused_first(export, of, tmp_path):
    image = keras.Input(batch_shape=(1, 8, 8, 3), name="image")
    x = keras.ops.reshape(image, (1, 192)) if of == "reshaped" else keras.ops.sum(image, 0, True)
    model = keras.Model(image, keras.layers.Flatten()(x), name="fixed")
    with pytest.raises(
        ValueError, match=r"`model` must take batches of any size.*'fixed'"
    ) as error:
        export(model, tmp_path / FILES[export], SAMPLES)
    assert "\n" not in str(error.value)
    assert not list(tmp_path.iterdir())


def test_channels_first_networks_are_exported_too(tmp_path):
    inputs = keras.Input((3, 8, 12), name="image")
    options = {"padding": "same", "data_format": "channels_first"}
    x = keras.layers.Conv2D(4, 3, use_bias=False, **options)(inputs)
    x = keras.layers.BatchNormalization(axis=1)(x)
    x = keras.layers.Conv2D(5, 3, strides=2, **options)(x)
    model = keras.Model(inputs, x)
    randomize(model)
    samples = np.moveaxis(feature_map((3, 8, 12, 3)), -1, 1)
    report = to_tflite(model, tmp_path / "model.tflite", samples)
    assert report.output_shape == (None, 5, 4, 6)
    assert report.parity.max_error <= 1e-5
