"""tools.web_demo in processes of its own: it defines absl flags."""

import numpy as np
import pytest
from PIL import Image

from srm_keras.support.files import read_json
from tests.support import command_lines
from tests.support.tiny_training import tiny_recipe, train_tiny

pytestmark = pytest.mark.slow


def web_demo(*flags):
    return command_lines.command("tools.web_demo", *flags)


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "tiny"
    train_tiny(tiny_recipe(), folder)
    return folder


def test_a_run_comes_to_the_page_and_is_compared(browser, run_folder, tmp_path):
    (tmp_path / "images" / "deep").mkdir(parents=True)
    pixels = np.random.default_rng(0).integers(0, 256, (30, 40, 3), dtype="uint8")
    Image.fromarray(pixels).save(tmp_path / "images" / "deep" / "one.png")
    flags = [f"--model={run_folder}", f"--out={tmp_path / 'model'}", "--samples=4"]
    done = web_demo(*flags, f"--compare={tmp_path / 'images'}")
    assert done.returncode == 0, done.stderr
    description = read_json(tmp_path / "model" / "model.json")
    assert [gate["name"] for gate in description["gates"]] == ["recalibration"]
    assert description["classes"] == read_json(run_folder / "classes.json")
    compared = read_json(run_folder / "export" / "web_comparison.json")
    assert compared["images"] == 1
    assert compared["max_score_error"] < 1e-5
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_wrong_flags_are_one_line_and_write_nothing(browser, run_folder, tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    (tmp_path / "empty").mkdir()
    run, out = f"--model={run_folder}", f"--out={tmp_path / 'model'}"
    cases = {
        "`--model` is required": [],
        "`folder` must be new or empty": [run, f"--out={tmp_path}"],
        "A folder must hold images": [run, out, f"--compare={tmp_path / 'empty'}"],
    }
    for message, flags in cases.items():
        done = web_demo(*flags)
        assert done.returncode == 1
        assert done.stderr.splitlines()[-1].startswith(f"error: {message}")
        assert "Traceback" not in done.stderr
    assert sorted(file.name for file in tmp_path.iterdir()) == ["empty", "thesis.txt"]
