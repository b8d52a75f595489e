"""`srm-keras demo` and `export` as one calls them."""

import json
import zipfile
from functools import partial
from unittest import mock

import pytest

from srm_keras.recipes import texture_shapes
from tests.support.command_lines import command

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def demo_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "demo"
    smoke = partial(texture_shapes.get_config, "smoke")
    with mock.patch.object(texture_shapes, "get_config", smoke):
        for _ in range(2):  # The second demo replaces the first.
            done = command("demo", f"--workdir={folder}")
            assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == f"Open {folder / 'report.html'}"
    return folder


def test_the_demo_leaves_a_network_two_files_and_a_page(demo_folder):
    page = (demo_folder / "report.html").read_text()
    for cell in ("<td>test</td>", "<th>saved_model</th>", "<th>model.tflite</th>"):
        assert cell in page
    assert page.count("<figure>") == 12
    reports = json.loads((demo_folder / "report.json").read_text())["exports"]
    assert [report["file"] for report in reports] == ["saved_model", "model.tflite"]
    assert all(report["parity"]["max_error"] <= 1e-5 for report in reports)
    assert (demo_folder / "saved_model" / "saved_model.pb").is_file()
    assert not [path for path in demo_folder.iterdir() if path.name.startswith(".")]


EXACT = {"saved_model", "model.tflite", "model.onnx", "web"}
LOSSY = {
    "model_float16.tflite",
    "model_dynamic.tflite",
    "model_int8.tflite",
    "model_int8_io.tflite",
    "model_int8_float_modules.tflite",
    "model_int16x8.tflite",
}


def test_a_run_is_exported_to_every_format(demo_folder, tmp_path):
    for package in ("tf2onnx", "onnxruntime"):
        pytest.importorskip(package)
    out = tmp_path / "out"
    done = command(
        "export",
        f"--model={demo_folder}",
        f"--out={out}",
        "--samples=16",
        "--representative=20",
        "--min_snr_db=10",
    )
    assert done.returncode == 0, done.stderr
    names = {path.name for path in out.iterdir()}
    assert names == {*EXACT, *LOSSY, "report.json", "report.md"}
    reports = {
        report["file"]: report
        for report in json.loads((out / "report.json").read_text())["exports"]
    }
    assert set(reports) == EXACT | LOSSY
    assert {report["parity"]["samples"] for report in reports.values()} == {16}
    for name in EXACT:
        assert reports[name]["parity"]["max_error"] <= 1e-5
    for name in LOSSY:
        assert 10 <= reports[name]["parity"]["snr_db"] < 100
        labels = zipfile.ZipFile(out / name).read("labels.txt").decode().split()
        assert labels == json.loads((demo_folder / "classes.json").read_text())
    saved = reports["saved_model"]["details"]["signatures"]
    assert set(saved) == {"serve_uint8", "serve_jpeg"}


def test_a_format_that_fails_does_not_keep_the_others_from_being_written(demo_folder, tmp_path):
    out = tmp_path / "out"
    done = command(
        "export",
        f"--model={demo_folder}",
        f"--out={out}",
        "--formats=float16,float32",
        "--samples=16",
        "--min_snr_db=200",
    )
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert last.startswith("error: model_float16.tflite was not written: its logits have")
    assert {path.name for path in out.iterdir()} == {"model.tflite", "report.json", "report.md"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "error: `--model` is required."),
        (["--model=nowhere"], "Received: 'nowhere', which does not exist"),
        (["--model={demo}", "extra"], "error: Arguments must be flags. Received: extra"),
        (
            ["--model={demo}", "--out={out}", "--tolerance=0", "--formats=saved_model"],
            "error: saved_model was not written",
        ),
        (["--model={demo}", "--formats=int4"], "error: `formats` must be one of"),
    ],
)
def test_errors_are_one_line(arguments, message, demo_folder, tmp_path):
    out = tmp_path / "out"
    arguments = [argument.format(demo=demo_folder, out=out) for argument in arguments]
    done = command("export", *arguments)
    assert done.returncode == 1
    assert message in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
    assert not list(out.glob("*"))
