import contextlib
import warnings

import keras
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter

from srm_keras.data import Preprocessing
from srm_keras.export import ExportError, to_tflite
from srm_keras.export.runners import TFLiteRunner
from srm_keras.export.tflite import exporter
from srm_keras.export.tflite.conversion import Conversion
from srm_keras.export.tflite.exporter import tflite_details
from srm_keras.layers import recalibration
from tests.support.specs import spec_id
from tests.support.weights import feature_map, randomize

LOSSY = ["float16", "dynamic", "int8", "int16x8"]
CBAM = {"name": "cbam", "reduction": 2, "gain": 4}
# Not so few hidden units that all may be dead, which XNNPACK refuses (see below).
MODULES = [
    None,
    "srm",
    {"name": "se", "reduction": 2, "gain": 2},
    {"name": "ge", "gain": 2},
    {"name": "eca", "gain": 2},
    CBAM,
    "simam",
    "gct",
    {"name": "fca", "reduction": 2, "gain": 2},
]
# One after the other in one network, which is converted once.
ALL = MODULES[1:]
ENOUGH = {"float16": 50, "dynamic": 25, "int8": 15, "int16x8": 25}


def network(module="srm", softmax=True):
    """A residual unit behind a convolution, one a module: what takes time is converting."""
    inputs = keras.Input((16, 16, 3), name="image")
    x = keras.layers.Conv2D(16, 3, activation="relu", name="stem")(inputs)
    for index, spec in enumerate(module if isinstance(module, list) else [module]):
        end = f"_{index}" if index else ""
        y = keras.layers.Conv2D(16, 3, padding="same", use_bias=False, name=f"conv{end}")(x)
        y = keras.layers.BatchNormalization(name=f"bn{end}")(y)
        if spec is not None:
            y = recalibration(spec, name=f"recalibration{end}")(y)
        x = keras.layers.ReLU(name=f"out{end}")(keras.layers.Add(name=f"add{end}")([x, y]))
    x = keras.layers.Dense(10, name="logits")(keras.layers.GlobalAveragePooling2D(name="pool")(x))
    x = keras.layers.Softmax(name="predictions")(x) if softmax else x
    model = keras.Model(inputs, x)
    randomize(model, seed=1)
    return model


SAMPLES = feature_map((40, 16, 16, 3), seed=2)
# Of different brightness: what the outputs for all samples have in common is no signal.
VARIED = SAMPLES * np.linspace(0.25, 2, 40, dtype="float32")[:, None, None, None]


def module_id(module):
    return "all" if module is ALL else spec_id(module)


@pytest.fixture(scope="module")
def converted(tmp_path_factory):
    """``converted(format, **options)``: the network in a file and the report, made once."""
    done = {}

    def convert(form, **options):
        key = (form, *sorted(options.items()))
        if key not in done:
            path = tmp_path_factory.mktemp("converted") / "model.tflite"
            done[key] = path, to_tflite(network(), path, SAMPLES, form, min_snr_db=10, **options)
        return done[key]

    return convert


def run_plainly(path, images):
    """What a user without this package would write; integers are converted by hand."""
    interpreter = Interpreter(str(path))
    (given,), (taken,) = interpreter.get_input_details(), interpreter.get_output_details()
    results = []
    for image in images:
        interpreter.resize_tensor_input(given["index"], (1, *image.shape))
        interpreter.allocate_tensors()
        scale, zero = given["quantization"]
        if given["dtype"] != np.float32:
            limits = np.iinfo(given["dtype"])
            image = np.clip(np.round(image / scale + zero), limits.min, limits.max)
        interpreter.set_tensor(given["index"], image[None].astype(given["dtype"]))
        interpreter.invoke()
        output = interpreter.get_tensor(taken["index"])[0].astype("float64")
        scale, zero = taken["quantization"]
        results.append((output - zero) * scale if scale else output)
    return np.array(results)


def decibels(signal, noise):
    return 10 * np.log10((signal**2).sum() / (noise**2).sum())


def centred(logits):
    return logits - logits.mean(axis=1, keepdims=True)


def tensor_types(path):
    model = schema.ModelT.InitFromPackedBuf(path.read_bytes(), 0)
    names = {code: name for name, code in vars(schema.TensorType).items()}
    return [names[tensor.type] for tensor in model.subgraphs[0].tensors]


@pytest.mark.parametrize(
    ("module", "form"),
    [
        pytest.param(
            module,
            form,
            marks=[] if module == "srm" or (module, form) == (CBAM, "int8") else pytest.mark.slow,
            id=f"{module_id(module)}-{form}",
        )
        for module in MODULES
        for form in LOSSY
    ],
)
def test_every_format_of_every_module_computes_nearly_the_same(module, form, tmp_path):
    model = network(module, softmax=False)
    path = tmp_path / "model.tflite"
    report = to_tflite(model, path, VARIED, form, min_snr_db=ENOUGH[form])
    expected = np.asarray(model(VARIED, training=False), "float64")
    error = expected - run_plainly(path, VARIED)
    measured = decibels(expected - expected.mean(axis=0), error)
    assert measured >= ENOUGH[form]
    assert report.parity.snr_db == pytest.approx(measured, abs=0.5)


def test_files_are_as_small_as_their_weights(tmp_path):
    """Parameters of the classifier outweigh the description of the graph."""
    inputs = keras.Input((16, 16, 3), name="image")
    outputs = keras.layers.Dense(100)(keras.layers.Flatten()(inputs))
    model = keras.Model(inputs, outputs)
    sizes = {
        form: to_tflite(model, tmp_path / f"{form}.tflite", SAMPLES, form).size_bytes
        for form in ("float32", "float16", "int8")
    }
    parameters = model.count_params()
    for form, width in (("float32", 4), ("float16", 2), ("int8", 1)):
        assert width * parameters < sizes[form] < 1.1 * width * parameters + 5_000


@pytest.mark.parametrize(
    ("form", "integer"), [("int8", "INT8"), ("int16x8", "INT16")], ids=["int8", "int16x8"]
)
def test_integer_formats_compute_in_integers_alone(form, integer, converted):
    made = {io: converted(form, integer_io=io) for io in (False, True)}
    files, reports = ({io: pair[index] for io, pair in made.items()} for index in (0, 1))
    float_tensors = {io: tensor_types(path).count("FLOAT32") for io, path in files.items()}
    assert float_tensors == {False: 2, True: 0}
    assert integer in tensor_types(files[True])
    assert {"QUANTIZE", "DEQUANTIZE"} <= set(reports[False].details["operators"])
    assert "DEQUANTIZE" not in reports[True].details["operators"]
    # The same network: what the ends do is rounding to the same scale.
    np.testing.assert_allclose(
        run_plainly(files[True], SAMPLES[:5]), run_plainly(files[False], SAMPLES[:5]), atol=1e-6
    )


def test_modules_can_stay_in_float(converted):
    whole, integer = converted("int8", integer_io=False)
    partly, mixed = converted("int8", float_modules=True)
    assert mixed.parity.snr_db > integer.parity.snr_db
    assert mixed.format == "TFLite int8, modules in float32"
    # Statistics, CFC and gates: as many float tensors as the module has, and not the convolutions.
    assert tensor_types(whole).count("FLOAT32") == 2
    assert 10 < tensor_types(partly).count("FLOAT32") < 20
    expected = np.asarray(network()(SAMPLES, training=False), "float64")
    assert np.abs(run_plainly(partly, SAMPLES) - expected).max() < 0.1


def test_modules_of_an_inner_model_stay_in_float_too(converted, tmp_path):
    inputs = keras.Input((16, 16, 3), name="image")
    nested, path = keras.Model(inputs, network()(inputs)), tmp_path / "model.tflite"
    to_tflite(nested, path, SAMPLES, "int8", float_modules=True, min_snr_db=10)
    flat, _ = converted("int8", float_modules=True)
    assert tensor_types(path).count("FLOAT32") == tensor_types(flat).count("FLOAT32") > 10


def test_the_ratio_of_probabilities_is_that_of_the_logits_behind_them(converted, tmp_path):
    _, with_softmax = converted("int8", integer_io=False)
    model, path = network(softmax=False), tmp_path / "b.tflite"
    without = to_tflite(model, path, SAMPLES, "int8", min_snr_db=10)
    logits = centred(np.asarray(model(SAMPLES, training=False), "float64"))
    behind = decibels(logits, logits - centred(run_plainly(path, SAMPLES)))
    assert with_softmax.parity.snr_db == pytest.approx(behind, abs=1.5)
    assert with_softmax.parity.max_output <= 1 < without.parity.max_output


def test_a_network_that_is_not_near_enough_is_not_written(tmp_path):
    with pytest.raises(ExportError, match=r"ratio of \d+\.\d dB on 40 .*less than min_snr_db=80"):
        to_tflite(network(), tmp_path / "model.tflite", SAMPLES, "int8", min_snr_db=80)
    assert list(tmp_path.iterdir()) == []


def test_the_ranges_are_those_of_the_representative_images(tmp_path):
    """Ranges of images a tenth as large cut the samples off."""
    path = tmp_path / "model.tflite"
    good = to_tflite(network(), path, SAMPLES, "int8", SAMPLES[::2], min_snr_db=0)
    bad = to_tflite(network(), path, SAMPLES, "int8", SAMPLES / 10, min_snr_db=-100)
    assert good.parity.snr_db > bad.parity.snr_db + 5
    (image,) = Interpreter(str(path)).get_input_details()
    assert image["shape_signature"].tolist() == [-1, 16, 16, 3]


def test_ranges_of_images_a_thousandth_as_large_are_refused_for_one_score(tmp_path):
    """The file gives 0.5 or so for everything: it was published with an error of 0.496."""
    inputs = keras.Input((16, 16, 3), name="image")
    x = keras.layers.Conv2D(8, 3, activation="relu")(inputs)
    x = keras.layers.Dense(1, activation="sigmoid")(keras.layers.GlobalAveragePooling2D()(x))
    model = keras.Model(inputs, x)
    randomize(model, seed=4)
    with pytest.raises(ExportError, match=r"its outputs have a signal-to-noise ratio of .* dB"):
        to_tflite(model, tmp_path / "model.tflite", VARIED, "int8", VARIED / 1000)
    assert not list(tmp_path.iterdir())
    report = to_tflite(model, tmp_path / "model.tflite", VARIED, "int8", VARIED)
    assert report.parity.snr_db > 25
    assert report.bound.min_worst_db == 5
    assert report.parity.top1_agreement is report.bound.min_top1_agreement is None


@pytest.mark.parametrize(
    ("samples", "form"),
    [
        (2, "float32"),
        (7, "int8"),
        *(pytest.param(*case, marks=pytest.mark.slow) for case in ((2, "int8"), (7, "float32"))),
    ],
)
def test_a_fixed_batch_takes_any_number_of_samples(samples, form, tmp_path):
    path = tmp_path / "model.tflite"
    images = SAMPLES if form == "int8" else None
    report = to_tflite(network(), path, SAMPLES[:samples], form, images, batch_size=3)
    (image,) = Interpreter(str(path)).get_input_details()
    assert image["shape_signature"].tolist() == [3, 16, 16, 3]
    assert report.format == f"TFLite {form}, batch 3"
    assert report.parity.samples == samples
    runner = TFLiteRunner(path)
    whole = runner(SAMPLES[:7])
    assert whole.shape == (7, 10)
    for start in (0, 3, 6):
        np.testing.assert_array_equal(runner(SAMPLES[start : start + 1]), whole[start : start + 1])
    expected = np.asarray(network()(SAMPLES[:7], training=False))
    np.testing.assert_allclose(whole, expected, atol=1e-5 if form == "float32" else 0.1)


@pytest.mark.parametrize(
    "module",
    [ALL, *(pytest.param(module, marks=pytest.mark.slow) for module in MODULES)],
    ids=module_id,
)
def test_a_deployed_graph_stays_whole(module, tmp_path):
    report = to_tflite(network(module), tmp_path / "model.tflite", SAMPLES[:2])
    assert report.details["partitions"] == 1
    assert report.details["operators"]["CONV_2D"] >= 2


def test_without_deploy_form_the_graph_of_srm_falls_apart(tmp_path):
    report = to_tflite(network(), tmp_path / "model.tflite", SAMPLES[:2], fold=False)
    assert report.details["partitions"] > 5


def test_pieces_are_counted_as_litert_executes_them(tmp_path):
    """XNNPACK has no cumulative sum: two of them and the pieces before, between and after."""
    inputs = keras.Input((4, 4, 2))
    x = keras.ops.cumsum(keras.layers.ReLU()(inputs), axis=1)
    x = keras.layers.Conv2D(3, 1)(keras.layers.Conv2D(3, 1)(x))
    x = keras.layers.ReLU()(keras.layers.Conv2D(2, 1)(keras.ops.cumsum(x, axis=1)))
    path = tmp_path / "model.tflite"
    to_tflite(keras.Model(inputs, x), path, feature_map((2, 4, 4, 2)))
    details = tflite_details(path)
    assert details["operators"]["CUMSUM"] == 2
    assert details["partitions"] == 5


def test_labels_and_preprocessing_travel_with_the_file(tmp_path):
    from srm_keras.export.tflite.metadata import read_metadata

    preprocessing, classes = Preprocessing(16, resize=20), tuple("abcdefghij")
    path = tmp_path / "model.tflite"
    to_tflite(network(), path, SAMPLES[:3], "float16", preprocessing=preprocessing, classes=classes)
    assert read_metadata(path) == (preprocessing, classes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": "int4"}, "`format` must be one of .*'int16x8'.* Received: format='int4'"),
        ({"integer_io": True}, "`integer_io` needs the format 'int8' or 'int16x8'"),
        ({"integer_io": 1, "format": "int8"}, "`integer_io` must be True or False"),
        ({"representative": SAMPLES}, "`representative` needs the format"),
        ({"representative": SAMPLES[:, :3], "format": "int8"}, "`representative` must be a non-em"),
        ({"float_modules": True}, "`float_modules` needs the format 'int8'"),
        ({"float_modules": True, "format": "int8", "batch_size": 1}, "`float_modules` needs the"),
        (
            {"float_modules": True, "format": "int8", "model": network(None)},
            "`float_modules` needs a model with recalibration layers",
        ),
        ({"batch_size": 0}, "`batch_size` must be a positive integer"),
        ({"min_snr_db": "20", "format": "int8"}, "`min_snr_db` must be a number"),
    ],
)
def test_wrong_arguments_are_refused(changes, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        to_tflite(
            **{"model": network(), "path": tmp_path / "model.tflite", "samples": SAMPLES, **changes}
        )
    assert list(tmp_path.iterdir()) == []


def test_integer_inputs_saturate_and_do_not_wrap_around(converted):
    path, _ = converted("int8", integer_io=True)
    bright = np.full((1, 16, 16, 3), 1e6, "float32")
    largest = np.full((1, 16, 16, 3), 100.0, "float32")
    runner = TFLiteRunner(path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_array_equal(runner(bright), runner(largest))


def test_a_file_that_litert_does_not_run_is_not_written(tmp_path, monkeypatch):
    """The one hidden unit of an SE is all but dead: XNNPACK refuses a scale that small."""
    nearly = r"model.tflite was not written: LiteRT cannot run it .* is 0, or nearly, on all"
    model = network("se")
    features = keras.Model(model.input, model.get_layer("bn").output).predict(SAMPLES, verbose=0)
    reduce = model.get_layer("recalibration").mlp.reduce
    kernel = np.asarray(reduce.kernel)
    largest = (features.mean(axis=(1, 2)) @ kernel).max()
    reduce.set_weights([kernel, np.array([1e-5 - largest])])
    with pytest.raises(ExportError, match=nearly):
        to_tflite(model, tmp_path / "model.tflite", SAMPLES, "int8", min_snr_db=0)
    monkeypatch.setattr(exporter, "_check_scales", lambda model: None)
    with pytest.raises(ExportError, match=r"model.tflite was not written: it cannot be run \("):
        to_tflite(model, tmp_path / "model.tflite", SAMPLES, "int8", min_snr_db=0)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("ratio", "runs"), [(250, True), (262, False), (1e6, False)])
def test_scales_are_refused_from_where_xnnpack_refuses_them(ratio, runs, tmp_path):
    """The range of hidden units is made so small that a product is ``ratio`` of its steps."""
    samples, file = feature_map((16, 8, 8, 4), seed=1), tmp_path / "m.tflite"
    image = keras.Input((8, 8, 4))
    x = keras.layers.Conv2D(1, 1, activation="relu", name="hidden")(image)
    x = keras.layers.Add()([image, keras.layers.Conv2D(4, 1)(x)])
    model = keras.Model(image, keras.layers.GlobalAveragePooling2D()(x))
    kernel, _ = model.get_layer("hidden").get_weights()
    product = np.ptp(samples) / 255 * np.abs(kernel).max() / 127
    largest = (samples @ kernel[0, 0]).max()
    model.get_layer("hidden").set_weights([kernel, np.array([product * 255 / ratio - largest])])
    file.write_bytes(Conversion("int8", representative=samples).convert(model))
    for check in (
        lambda: exporter._check_scales(exporter.read_graph(file)),
        lambda: TFLiteRunner(file)(samples),
    ):
        with contextlib.nullcontext() if runs else pytest.raises((ValueError, RuntimeError)):
            check()
