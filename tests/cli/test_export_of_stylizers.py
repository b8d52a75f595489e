"""Exports of a run of train_stylizer, as one calls them."""

import json

import numpy as np
import pytest
from PIL import Image

from srm_keras.models.stylization import StylizationNet
from srm_keras.support.files import read_json, write_json
from tests.support import command_lines
from tests.support.photos import photos
from tests.support.weights import randomize

pytestmark = pytest.mark.slow

CONTENT = {
    "name": "texture_shapes",
    "options": {"test_examples": 6},
    "eval_split": "test",
    "image_size": 32,
}


def tool(name, *flags):
    return command_lines.command(f"tools.{name}" if name == "web_demo" else name, *flags)


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    model = StylizationNet("batch", "srm", filters=4, blocks=1)
    randomize(model, seed=1)
    model.save(folder / "last.keras")
    write_json(folder / "recipe.json", {"method": "feed_forward", "content": CONTENT})
    return folder


def test_a_run_is_exported_on_its_own_photos(run_folder, tmp_path):
    done = tool("export", f"--model={run_folder}", f"--out={tmp_path}", "--samples=3")
    assert done.returncode == 0, done.stderr
    reports = json.loads((tmp_path / "report.json").read_text())["exports"]
    shapes = {report["file"]: report["input_shape"] for report in reports}
    free, fixed = [None, None, None, 3], [None, 32, 32, 3]
    files = ("saved_model", "model.tflite", "model_float16.tflite")
    assert shapes == {**dict.fromkeys(files, free), "web": fixed}
    assert all(report["parity"]["samples"] == 3 for report in reports)


def test_a_run_comes_to_the_page_on_photos_of_a_folder(run_folder, tmp_path):
    (tmp_path / "photos").mkdir()
    pixels = photos(1, 50, 40)[0].astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "photos" / "a.png")
    flags = [f"--images={tmp_path / 'photos'}", "--image_size=24"]
    done = tool("web_demo", f"--model={run_folder}", f"--out={tmp_path / 'page'}", *flags)
    assert done.returncode == 0, done.stderr
    description = read_json(tmp_path / "page" / "model.json")
    assert description["input"]["shape"] == [1, 24, 24, 3]
    assert (tmp_path / "page" / "model.tflite").is_file()


def test_errors_are_one_line(run_folder, tmp_path):
    adain = tmp_path / "adain"
    write_json(adain / "recipe.json", {"method": "adain", "content": CONTENT})
    elsewhere = tmp_path / "elsewhere"
    content = {"name": "image_folder", "options": {"data_dir": "nowhere"}}
    write_json(
        elsewhere / "recipe.json", {"method": "feed_forward", "content": {**CONTENT, **content}}
    )
    (elsewhere / "last.keras").write_bytes((run_folder / "last.keras").read_bytes())
    cases = {
        "`--model` must be a classifier's or that of a network for one style": [f"--model={adain}"],
        "`--images` is needed: the photos of the run cannot be had": [f"--model={elsewhere}"],
        "Images must exist": [f"--model={run_folder}", "--images=nowhere"],
        "`formats` must be one of": [f"--model={run_folder}", "--formats=int8"],
    }
    for message, flags in cases.items():
        done = tool("export", *flags)
        assert done.returncode == 1
        assert done.stderr.splitlines()[-1].startswith(f"error: {message}")
        assert "Traceback" not in done.stderr
