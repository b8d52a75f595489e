import json

import keras
import numpy as np
import pytest

from srm_keras.export import to_saved_model
from srm_keras.layers import list_recalibrations
from srm_keras.support.files import read_csv
from tests.support import command_lines
from tests.support.gated_network import gated_network
from tests.support.weights import feature_map
from tools.studies import parity_columns, parity_matrix
from tools.studies.parity_columns import (
    CLASSES,
    COLUMNS,
    FILES,
    NETWORKS,
    Column,
    Network,
    images,
    random_network,
    without_keras_runner,
)
from tools.studies.parity_matrix import cell_text


def tiny(recalibration, input_shape, classes, classifier_activation):
    assert classifier_activation is None
    inputs = keras.Input(input_shape, name="image")
    x = keras.layers.Conv2D(4, 3, use_bias=False, name="conv")(inputs)
    x = keras.layers.BatchNormalization(momentum=0.9, name="conv_bn")(x)
    x = keras.layers.GlobalAveragePooling2D(name="pool")(keras.layers.ReLU(name="relu")(x))
    outputs = keras.layers.Dense(classes, name="logits")(x)
    return keras.Model(inputs, outputs, name=recalibration or "none")


class Recorder:
    """Columns whose files are the network itself and whose outputs are off by a known amount."""

    def __init__(self):
        self.loaded = []
        self.broken = True

    def load(self, name, offset):
        def load(path):
            self.loaded.append(name)
            network = keras.saving.load_model(path)
            return lambda images: network(images).numpy() + offset

        return load

    def fail(self, path):
        self.loaded.append("fails")
        if self.broken:
            raise RuntimeError("no such operator\nand a long story")
        return self.load("mended", 0.0)(path)

    def columns(self):
        return (
            Column("A", "right", "a.keras", self.load("right", 0.0), exact=True),
            Column("A", "shifted", "a.keras", self.load("shifted", np.eye(CLASSES)[0])),
            Column("A", "wrong", "a.keras", self.load("wrong", np.eye(CLASSES)[0]), exact=True),
            Column("A", "fails", "a.keras", self.fail),
        )


@pytest.fixture
def recorder(monkeypatch):
    monkeypatch.setitem(NETWORKS, "tiny", Network(tiny, 8, "_3_bn"))
    monkeypatch.setitem(FILES, "a.keras", lambda network, path, _: network.save(path))
    return Recorder()


def compute(out, recorder, **options):
    options = {"networks": ["tiny"], "modules": ["none"], "samples": 6, **options}
    return parity_matrix.parity_matrix(out, columns=recorder.columns(), **options)


def test_cells_hold_what_is_different(recorder, tmp_path):
    right, shifted, wrong, fails = compute(tmp_path, recorder)
    data = images(8, 6)
    expected = random_network("tiny", "none", data.train, seed=0)(data.test).numpy()

    assert right["error"] is None
    assert right["max_relative_error"] <= 1e-5
    assert right["top1_agreement"] == 1.0
    assert right["classes_on_top"] == len(set(expected.argmax(axis=1)))
    assert shifted["error"] is None
    assert shifted["max_error"] == pytest.approx(1.0, abs=1e-5)
    assert shifted["max_relative_error"] == pytest.approx(1 / np.abs(expected).max(), rel=1e-4)
    moved = expected + np.eye(CLASSES)[0]
    agreement = np.mean(moved.argmax(axis=1) == expected.argmax(axis=1))
    assert shifted["top1_agreement"] == pytest.approx(agreement)
    centred = expected - expected.mean(axis=1, keepdims=True)
    noise = 6 * (1 - 1 / CLASSES)  # of one logit in ten that is 1 too large, less the mean
    snr = 10 * np.log10((centred**2).sum() / noise)
    assert shifted["snr_db"] == pytest.approx(snr, abs=1e-3)
    assert wrong["error"].startswith("off by ")
    assert wrong["snr_db"] == shifted["snr_db"]
    assert fails["error"] == "RuntimeError: no such operator"


def test_three_files_hold_the_same_cells(recorder, tmp_path):
    cells = compute(tmp_path, recorder)
    stored = json.loads((tmp_path / "parity.json").read_text())
    assert stored["cells"] == cells
    assert stored["settings"] == {"samples": 6, "seed": 0}
    assert stored["environment"]["packages"]["keras"] == keras.__version__
    rows = read_csv(tmp_path / "parity.csv")
    assert [row["runtime"] for row in rows] == ["right", "shifted", "wrong", "fails"]
    assert float(rows[1]["snr_db"]) == cells[1]["snr_db"]
    page = (tmp_path / "parity.md").read_text()
    assert f"| A, shifted | {cell_text(cells[1])} |" in page
    assert "| A, fails | failed |" in page
    assert "- tiny, none, A, fails: RuntimeError: no such operator" in page
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "parity.csv",
        "parity.json",
        "parity.md",
    ]


def test_a_matrix_goes_on_where_it_was_and_tries_again_what_failed(recorder, tmp_path):
    class Killed(BaseException):
        pass

    def kill(done, total, cell):
        assert total == 4
        if done == 2:
            raise Killed

    with pytest.raises(Killed):
        compute(tmp_path, recorder, on_cell=kill)
    assert recorder.loaded == ["right", "shifted"]
    compute(tmp_path, recorder)
    assert recorder.loaded == ["right", "shifted", "wrong", "fails"]

    recorder.broken = False
    seen = []
    cells = compute(tmp_path, recorder, on_cell=lambda *report: seen.append(report))
    assert recorder.loaded[4:] == ["wrong", "fails", "mended"]
    assert [(done, total) for done, total, _ in seen] == [(n, 4) for n in (1, 2, 3, 4)]
    assert [cell["runtime"] for cell in cells if cell["error"]] == ["wrong"]
    assert len(json.loads((tmp_path / "parity.json").read_text())["cells"]) == 4
    assert "RuntimeError" not in (tmp_path / "parity.md").read_text()


def test_a_matrix_of_other_settings_or_packages_is_not_mixed_in(recorder, tmp_path):
    compute(tmp_path, recorder)
    with pytest.raises(ValueError, match="without a matrix of another settings"):
        compute(tmp_path, recorder, samples=7)
    path = tmp_path / "parity.json"
    content = json.loads(path.read_text())
    content["environment"]["packages"]["keras"] = "3.14.0"
    path.write_text(json.dumps(content))
    with pytest.raises(ValueError, match="of another environment"):
        compute(tmp_path, recorder)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"cells": []}'])
def test_a_foreign_file_is_not_overwritten(content, recorder, tmp_path):
    (tmp_path / "parity.json").write_text(content)
    with pytest.raises(ValueError, match=r"must not hold a parity.json that is no parity matrix"):
        compute(tmp_path, recorder)
    assert (tmp_path / "parity.json").read_text() == content


def test_wrong_arguments_are_refused(recorder, tmp_path):
    (tmp_path / "file").touch()
    for options, message in [
        ({"networks": ["resnet81"]}, "`networks` must be one of .*'resnet81'.*'resnet18'"),
        ({"modules": ["srn"]}, "`modules` must be one of .*did you mean 'srm'"),
        ({"samples": 0}, "`samples` must be a positive integer"),
        ({"out": tmp_path / "file"}, "`out` must lie in a folder"),
    ]:
        with pytest.raises(ValueError, match=message):
            compute(**{"out": tmp_path / "new", **options}, recorder=recorder)
    assert recorder.loaded == []


def test_random_networks_have_the_statistics_of_their_images():
    train = feature_map((64, 32, 32, 3), seed=4)
    model = random_network("cifar_resnet8_bottleneck", "srm", train, seed=1)
    expected = model(train, training=False).numpy()
    assert np.abs(expected.mean(axis=0)).max() <= 1e-5
    assert len(set(expected.argmax(axis=1))) > 3
    # In training mode batch norm takes the statistics of the batch, which is the same here.
    trained = model(train, training=True).numpy()
    assert np.abs(trained - expected).max() <= 1e-2 * np.abs(expected).max()
    again = random_network("cifar_resnet8_bottleneck", "srm", train, seed=1)
    np.testing.assert_allclose(again(train), expected, rtol=0, atol=1e-5)
    other = random_network("cifar_resnet8_bottleneck", "srm", train, seed=2)
    assert np.abs(other(train) - expected).max() > 0.1


def test_the_matrix_covers_every_module_and_file():
    assert sorted(parity_columns.MODULES) == sorted(["none", *list_recalibrations()])
    assert {column.file for column in COLUMNS} == set(FILES)
    assert len({(column.format, column.runtime) for column in COLUMNS}) == len(COLUMNS)


@pytest.mark.slow
def test_a_saved_model_runs_where_keras_is_not(tmp_path):
    image = keras.Input((8, 8, 3), name="image")
    model, samples = keras.Model(image, gated_network("srm")(image)), feature_map((3, 8, 8, 3))
    to_saved_model(model, tmp_path / "saved_model", samples)
    outputs = without_keras_runner(tmp_path / "saved_model")(samples)
    np.testing.assert_allclose(outputs, model(samples), rtol=0, atol=1e-5)
    with pytest.raises(RuntimeError, match="SavedModel file does not exist"):
        without_keras_runner(tmp_path / "none")(samples)


def tool(*arguments):
    return command_lines.command("tools.studies.parity_matrix", *arguments)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_quick_matrix_has_every_column(tmp_path):
    done = tool(f"--out={tmp_path}", "--quick", "--modules=srm", "--samples=16")
    assert done.returncode == 0, done.stdout + done.stderr
    left_out = done.stderr.count("left out: ")
    cells = json.loads((tmp_path / "parity.json").read_text())["cells"]
    assert len(cells) == len(COLUMNS) - left_out
    assert done.stdout.count("cifar_resnet8_bottleneck, srm, ") == len(cells)
    for cell in cells:
        low = cell["format"].split()[-1] in ("dynamic", "int8", "int16x8")
        assert cell["snr_db"] > (15 if low else 50), cell


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "error: `--out` is required."),
        (["--out={out}", "extra"], "error: Arguments must be flags. Received: extra"),
        (["--out={out}", "--networks=resnet"], "error: `networks` must be one of "),
    ],
)
def test_the_tool_says_what_is_wrong_in_one_line(arguments, message, tmp_path):
    done = tool(*(argument.format(out=tmp_path) for argument in arguments))
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith(message)
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []
