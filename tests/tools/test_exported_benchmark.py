import json
from functools import partial

import keras
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter

from srm_keras.layers import recalibration as make
from tools.studies.exported_benchmark import (
    benchmark_exported,
    report_markdown,
    rows_text,
    target_lines,
)
from tools.studies.exported_files import DEPLOYED, LAYERS, NETWORKS, File, Network, write_files

FILES = (
    File("none"),
    File("srm"),
    File("srm", LAYERS),
    File("none", DEPLOYED, "int8"),
    File("srm", DEPLOYED, "int8"),
)


def unit(input_shape, recalibration):
    inputs = keras.Input(input_shape)
    x = keras.layers.Conv2D(16, 3, activation="relu")(inputs)
    if recalibration is not None:
        x = make(recalibration, name="recalibration")(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, keras.layers.Dense(5, "softmax")(x))


UNIT = Network("unit", unit, 16, FILES)


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """A report, the folder with its files, and the files in the order they were written."""
    folder, written = tmp_path_factory.mktemp("benchmark"), []
    report = benchmark_exported(
        [UNIT],
        rounds=4,
        out=folder / "new",
        environment={"processor": "an abacus"},
        on_file=lambda network, file: written.append((network.name, file)),
    )
    return report, folder / "new", written


@pytest.mark.slow
def test_every_file_has_a_row_with_its_times(measured):
    report, _, written = measured
    assert [(row["module"], row["form"], row["format"]) for row in report["rows"]] == [
        (file.module, file.form, file.format) for file in FILES
    ]
    assert sorted(map(str, written)) == sorted(str(("unit", file)) for file in FILES)
    for row in report["rows"]:
        for clock in ("wall", "cpu"):
            times = row["rounds"][f"{clock}_ms"]
            assert len(times) == 4
            assert row[f"{clock}_ms"]["median"] == pytest.approx(np.median(times), abs=2e-4)


@pytest.mark.slow
def test_ratios_are_to_the_plain_network_in_the_same_format_and_round(measured):
    rows = {(row["module"], row["form"], row["format"]): row for row in measured[0]["rows"]}
    for (_, _, format), row in rows.items():
        plain = rows["none", DEPLOYED, format]
        for clock in ("wall", "cpu"):
            own, other = (np.array(r["rounds"][f"{clock}_ms"]) for r in (row, plain))
            expected = np.quantile(own / other, [0.25, 0.5, 0.75])
            found = [row[f"{clock}_ratio"][name] for name in ("lower", "median", "upper")]
            assert found == pytest.approx(expected, rel=0.05)


@pytest.mark.slow
def test_only_the_deploy_form_stays_in_one_piece(measured):
    pieces = {(r["module"], r["form"], r["format"]): r["pieces"] for r in measured[0]["rows"]}
    assert pieces["none", DEPLOYED, "float32"] == pieces["srm", DEPLOYED, "float32"] == 1
    assert pieces["srm", LAYERS, "float32"] > 1


@pytest.mark.slow
def test_report_is_written(measured):
    report, folder, _ = measured
    assert sorted(path.name for path in folder.iterdir()) == [
        "benchmark_exported.json",
        "benchmark_exported.md",
    ]
    assert json.loads((folder / "benchmark_exported.json").read_text()) == report
    page = (folder / "benchmark_exported.md").read_text()
    assert "an abacus" in page
    assert "median and quartiles of 4 rounds" in page
    assert "## unit, 16×16" in page
    assert "Targets" not in page
    assert page.count("\n| srm |") == rows_text(report["rows"]).count("\nsrm ") == 3


def test_files_have_batch_1_and_both_forms_compute_the_same(tmp_path):
    paths = write_files(Network("unit", unit, 16, FILES[1:3]), tmp_path)
    images = np.random.default_rng(1).normal(size=(2, 1, 16, 16, 3)).astype("float32")
    outputs = []
    for path in paths.values():
        interpreter = Interpreter(str(path))
        interpreter.allocate_tensors()
        (image,) = interpreter.get_input_details()
        assert image["shape_signature"].tolist() == [1, 16, 16, 3]
        for values in images:
            interpreter.set_tensor(image["index"], values)
            interpreter.invoke()
            (scores,) = interpreter.get_output_details()
            outputs.append(interpreter.get_tensor(scores["index"]))
    np.testing.assert_allclose(outputs[:2], outputs[2:], atol=1e-5)


def test_no_weight_is_left_at_zero(tmp_path):
    """A CFC that starts at zero makes all gates 0.5, which int8 cannot be calibrated on."""
    (path,) = write_files(Network("unit", unit, 16, FILES[1:2]), tmp_path).values()
    model = schema.ModelT.InitFromPackedBuf(path.read_bytes(), 0)
    weights = [
        np.frombuffer(model.buffers[tensor.buffer].data.tobytes(), "float32")
        for tensor in model.subgraphs[0].tensors
        if tensor.type == schema.TensorType.FLOAT32
        and model.buffers[tensor.buffer].data is not None
    ]
    assert 2 * 16 in {values.size for values in weights}  # the CFC
    assert all(values.any() for values in weights)


def row(module, median, network="ResNet-50", form=DEPLOYED, format="float32"):
    spread = {"median": median, "lower": median - 0.01, "upper": median + 0.01}
    return {
        "network": network,
        "module": module,
        "form": form,
        "format": format,
        "wall_ratio": spread,
        "cpu_ratio": {"median": 1.5, "lower": 1.4, "upper": 1.6},
    }


def test_targets_are_judged_by_the_median_ratio():
    rows = [
        row("none", 1.0),
        row("srm", 1.031),
        row("se", 1.03),
        row("srm", 9.0, form=LAYERS),
        row("se", 9.0, format="int8"),
        row("srm", 9.0, network="ResNet-18"),
    ]
    assert list(target_lines(rows)) == [
        "- ResNet-50, srm, at most 1.03 × plain: not met, 1.031 (1.021–1.041) "
        "(by CPU time 1.500 (1.400–1.600))",
        "- ResNet-50, se, at most 1.03 × plain: met, 1.030 (1.020–1.040) "
        "(by CPU time 1.500 (1.400–1.600))",
    ]


@pytest.mark.slow
def test_targets_stand_in_the_report(measured):
    report = measured[0]
    renamed = [{**r, "network": "ResNet-50"} for r in report["rows"]]
    page = report_markdown({**report, "rows": renamed})
    assert page.count("at most 1.03 × plain") == 1


def test_every_network_has_the_plain_file_of_each_format():
    for network in NETWORKS:
        assert {file.plain for file in network.files} <= set(network.files)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"rounds": 0}, "`rounds` must be a positive integer"),
        ({"out": __file__}, "`out` must lie in a folder that exists or can be made"),
    ],
)
def test_wrong_arguments_are_refused_before_any_file_is_made(arguments, message):
    with pytest.raises(ValueError, match=message):
        benchmark_exported([UNIT], on_file=partial(pytest.fail, "a file"), **arguments)
