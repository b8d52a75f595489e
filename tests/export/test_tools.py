"""The command lines, each in a process of its own: they define absl flags."""

import json
import pathlib
import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow

ROOT = pathlib.Path(__file__).parents[2]

DEMO = """
import pathlib, sys
from tools.demo import demo
from train.recipes.texture_shapes import get_config
recipe = get_config("smoke")
recipe.recalibration = "srm"
demo(recipe, pathlib.Path(sys.argv[1]))
"""


def python(*arguments):
    return subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module")
def demo_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "demo"
    for _ in range(2):  # The second demo replaces the first.
        done = python("-c", DEMO, str(folder))
        assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == f"Open {folder / 'report.html'}"
    return folder


def test_the_demo_leaves_a_network_two_files_and_a_page(demo_folder):
    page = (demo_folder / "report.html").read_text()
    for name in ("test", "saved_model", "model.tflite"):
        assert f"<td>{name}</td>" in page
    assert page.count("<figure>") == 12
    reports = json.loads((demo_folder / "report.json").read_text())["exports"]
    assert [report["file"] for report in reports] == ["saved_model", "model.tflite"]
    assert all(report["parity"]["max_error"] <= 1e-5 for report in reports)
    assert (demo_folder / "saved_model" / "saved_model.pb").is_file()
    assert not [path for path in demo_folder.iterdir() if path.name.startswith(".")]


def test_a_run_is_exported(demo_folder, tmp_path):
    out = tmp_path / "out"
    done = python("-m", "tools.export", f"--run={demo_folder}", f"--out={out}", "--samples=16")
    assert done.returncode == 0, done.stderr
    names = {path.name for path in out.iterdir()}
    assert names == {"saved_model", "model.tflite", "report.json", "report.md"}
    reports = json.loads((out / "report.json").read_text())["exports"]
    assert {report["parity"]["samples"] for report in reports} == {16}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "error: `--run` is required."),
        (["--run=nowhere"], "Received: workdir='nowhere', which lacks best.keras"),
        (["--run={demo}", "extra"], "error: Arguments must be flags. Received: extra"),
        (["--run={demo}", "--out={out}", "--tolerance=0"], "error: saved_model was not written"),
    ],
)
def test_errors_are_one_line(arguments, message, demo_folder, tmp_path):
    out = tmp_path / "out"
    arguments = [argument.format(demo=demo_folder, out=out) for argument in arguments]
    done = python("-m", "tools.export", *arguments)
    assert done.returncode == 1
    assert message in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
    assert not list(out.glob("*"))
