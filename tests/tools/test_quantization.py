import csv
import json

import keras
import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter

from srm_keras.export import deploy
from srm_keras.export.tflite.conversion import FORMATS, Conversion
from srm_keras.layers import recalibration
from tests.support.weights import feature_map, randomize
from tools.studies.exported_files import DEPLOYED, LAYERS
from tools.studies.quantization import Images, Subject, _wanted, _Work, float_tensors_inside, study
from tools.studies.quantization_report import goals, study_markdown, study_results

SETTINGS = {"checkpoint": "best", "samples": 40}
PARTS = ["mean", "deviation", "square", "variance", "std", "style", "cfc", "gates", "product"]


def network(module="srm", seed=3):
    """Logits without a softmax, so that a plain interpreter can read them."""
    inputs = keras.Input((8, 8, 3), name="image")
    x = keras.layers.Conv2D(16, 3, name="conv")(inputs)
    if module != "none":
        x = recalibration(module, name="recalibration")(x)
    x = keras.layers.GlobalAveragePooling2D(name="pool")(keras.layers.ReLU(name="relu")(x))
    model = keras.Model(inputs, keras.layers.Dense(7, name="logits")(x), name="tiny")
    randomize(model, seed)
    return model


def images():
    drawn = feature_map((56, 8, 8, 3), 5)
    return Images(drawn[:16], drawn[16:], np.random.default_rng(4).integers(0, 7, 40))


def subject(module="srm", seed=3, load=images):
    return Subject("a_run", "shapes", "tiny", module, 0, network(module, seed), load)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The files of a study of one network with SRM."""
    folder = tmp_path_factory.mktemp("study") / "new"
    study(subject(), study_results(folder, SETTINGS), [16])
    return folder


@pytest.fixture
def rows(folder):
    return json.loads((folder / "quantization.json").read_text())["rows"]


def one(rows, form=DEPLOYED, format="int8", in_float=""):
    key = {"form": form, "format": format, "in_float": in_float}
    (row,) = [row for row in rows if key.items() <= row.items()]
    return row


def run_plainly(path, inputs):
    interpreter = Interpreter(str(path))
    interpreter.resize_tensor_input(interpreter.get_input_details()[0]["index"], inputs.shape)
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], inputs)
    interpreter.invoke()
    return interpreter.get_tensor(interpreter.get_output_details()[0]["index"])


@pytest.mark.slow
def test_every_file_has_a_row(rows):
    names = ("form", "format", "in_float", "representative")
    assert [tuple(row[name] for name in names) for row in rows] == [
        *(
            (form, format, "", 16 * format.startswith("int"))
            for form in (DEPLOYED, LAYERS)
            for format in FORMATS
        ),
        *((DEPLOYED, "int8", f"{part} and after", 16) for part in PARTS),
    ]


@pytest.mark.slow
def test_a_row_says_how_far_its_file_is_from_the_network(rows, tmp_path):
    data, row = images(), one(rows)
    path = tmp_path / "model.tflite"
    conversion = Conversion("int8", representative=data.representative)
    path.write_bytes(conversion.convert(deploy(network())))
    expected, actual = network().predict(data.inputs, verbose=0), run_plainly(path, data.inputs)
    assert row["float_accuracy"] == np.mean(expected.argmax(1) == data.labels)
    assert row["accuracy"] == np.mean(actual.argmax(1) == data.labels)
    assert row["agreement"] == np.mean(actual.argmax(1) == expected.argmax(1))
    signal, noise = (x - x.mean(1, keepdims=True) for x in (expected, expected - actual))
    decibels = 10 * np.log10((signal**2).sum() / (noise**2).sum())
    assert row["snr_db"] == pytest.approx(decibels, abs=0.2)
    assert row["images"] == 40
    assert row["size_bytes"] == path.stat().st_size


@pytest.mark.slow
def test_rows_say_what_is_left_in_float(rows):
    assert one(rows)["float_tensors"] == one(rows, format="int16x8")["float_tensors"] == 0
    partly = [one(rows, in_float=f"{part} and after")["float_tensors"] for part in PARTS]
    assert min(partly) > 0
    assert partly[0] > partly[-1]
    assert one(rows, format="float32")["pieces"] == 1 < one(rows, LAYERS, "float32")["pieces"]


@pytest.mark.slow
def test_what_cannot_be_converted_has_a_row_with_the_reason(rows):
    failed = [row for row in rows if row["error"] is not None]
    assert failed == [one(rows, LAYERS, "int16x8")]
    assert "SQRT" in failed[0]["error"]


@pytest.mark.slow
def test_table_and_page_have_all_rows(folder, rows):
    with (folder / "quantization.csv").open() as file:
        table = list(csv.DictReader(file))
    assert [row["in_float"] for row in table] == [row["in_float"] for row in rows]
    assert float(table[3]["snr_db"]) == rows[3]["snr_db"]
    page = (folder / "quantization.md").read_text()
    assert "## a_run: srm, tiny, shapes" in page
    assert page.count(f"\n| {DEPLOYED} |") == len(FORMATS)
    assert page.count("and after in float |") == len(PARTS)
    assert f"- {LAYERS}, int16x8 (16): " in page


@pytest.mark.slow
def test_a_study_goes_on_where_it_was(folder, rows):
    """Nothing is loaded or made but the file that failed."""
    before, seen, loaded = (folder / "quantization.json").read_bytes(), [], []

    def load():
        loaded.append(True)
        return images()

    study(subject(load=load), study_results(folder, SETTINGS), [16], seen.append)
    assert seen == rows
    assert len(loaded) == 1
    after = json.loads((folder / "quantization.json").read_text())["rows"]
    assert sorted(map(str, after)) == sorted(map(str, json.loads(before)["rows"]))


class Dies:
    """Ends the process after so many rows."""

    def __init__(self, rows):
        self.left = rows

    def __call__(self, row):
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt


def study_until(rows, folder, seed=3):
    with pytest.raises(KeyboardInterrupt):
        study(subject("none", seed), study_results(folder, SETTINGS), [8], Dies(rows))
    return json.loads((folder / "quantization.json").read_text())["rows"]


def test_what_was_done_before_a_death_is_kept(tmp_path):
    rows = study_until(2, tmp_path)
    assert [row["format"] for row in rows] == ["float32", "float16"]
    assert study_until(1, tmp_path) == rows


def test_rows_of_other_weights_are_replaced(tmp_path):
    (first,) = study_until(1, tmp_path, seed=1)
    (second,) = study_until(1, tmp_path, seed=2)
    assert first["weights"] != second["weights"]


def test_int8_is_made_with_each_number_of_representative_images():
    """And a network without module has one form, nothing of which stays in float."""
    work = _Work(subject("none"))
    files = list(_wanted(work, [8, 16]))
    assert {(file.form, file.in_float) for file in files} == {(DEPLOYED, "")}
    assert [file.representative for file in files] == [0, 0, 0, 8, 16, 16]
    np.testing.assert_array_equal(work.representative(4), images().representative[::4])
    np.testing.assert_array_equal(work.representative(99), images().representative)


@pytest.mark.parametrize(
    ("content", "settings", "message"),
    [
        (None, {**SETTINGS, "samples": 41}, "without a study of another settings.*'samples': 41"),
        ("{}", SETTINGS, "no quantization study"),
        ("no JSON", SETTINGS, "no quantization study"),
    ],
)
def test_a_folder_with_something_else_is_refused(content, settings, message, tmp_path):
    head = study_results(tmp_path, SETTINGS).head
    text = json.dumps({**head, "rows": []}) if content is None else content
    (tmp_path / "quantization.json").write_text(text)
    with pytest.raises(ValueError, match=message):
        study_results(tmp_path, settings)


def row(module, snr, **changes):
    fields = {
        "run": module,
        "dataset": "shapes",
        "network": "tiny",
        "module": module,
        "seed": 0,
        "form": DEPLOYED,
        "format": "int8",
        "in_float": "",
        "representative": 256,
        "error": None,
        "images": 1000,
        "snr_db": snr,
        "float_accuracy": 0.90,
        "accuracy": 0.895,
        "float_tensors": 0,
    }
    return {**fields, **changes}


@pytest.mark.parametrize(
    ("srm", "se", "verdicts"),
    [
        (row("srm", 31.0), row("se", 34.0), (True, True, True, True)),
        (row("srm", 30.9), row("se", 34.0), (False, True, True, True)),
        (row("srm", 24.9), row("se", 20.0), (True, False, True, True)),
        (row("srm", 31.0, accuracy=0.88), row("se", 30.0), (True, True, False, True)),
        (row("srm", 31.0, images=999), row("se", 30.0), (True, True, False, True)),
        (row("srm", 31.0, float_tensors=2), row("se", 30.0), (True, True, True, False)),
        (row("srm", 31.0), row("se", 30.0, seed=1), (None, True, True, True)),
        (row("srm", 31.0), row("se", 30.0, dataset="other"), (None, True, True, True)),
        (row("srm", 31.0), row("se", 30.0, representative=999), (None, True, True, True)),
        (row("srm", 31.0), row("se", 30.0, form=LAYERS), (None, True, True, True)),
        (row("srm", 31.0), row("se", 30.0, error="why"), (None, True, True, True)),
    ],
)
def test_goals(srm, se, verdicts):
    (goal,) = goals([srm, se, row("none", 99.0)])
    names = ("within_se", "enough_db", "accurate", "integer")
    assert tuple(goal[name] for name in names) == verdicts


@pytest.mark.slow
def test_goals_stand_on_the_page(folder):
    content = json.loads((folder / "quantization.json").read_text())
    page = study_markdown(content)
    assert page == (folder / "quantization.md").read_text()
    assert "no network with SE" in page
    assert "on 40, **not met**" in page  # on too few images
    se = {**one(content["rows"]), "module": "se", "run": "se", "snr_db": 0.0}
    assert " dB, met |" in study_markdown({**content, "rows": [*content["rows"], se]})


def test_float_tensors_at_the_ends_do_not_count(tmp_path):
    path = tmp_path / "model.tflite"
    model = network("none")
    path.write_bytes(Conversion("int8", representative=images().representative).convert(model))
    assert float_tensors_inside(path) == 0
    path.write_bytes(Conversion("float32").convert(model))
    assert float_tensors_inside(path) >= 5  # two kernels, two biases, features
