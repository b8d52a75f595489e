"""The page's second tab in headless Chromium against Keras on the same photos."""

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from srm_keras.export.web.browser import run_files_in_browser
from srm_keras.export.web.exporter import square_photos, stylizer_to_web
from srm_keras.models.stylization import StylizationNet
from srm_keras.support.files import read_json
from tests.export.web.conftest import IGNORED, WEB_DEMO, served
from tests.support.photos import photos
from tests.support.weights import randomize

pytestmark = pytest.mark.slow

SIDE = 48


@pytest.fixture(scope="module")
def stylizer(tmp_path_factory):
    """A network with random weights, and the folder that ``stylizer_to_web`` made of it."""
    model = StylizationNet("instance", "srm", filters=4, blocks=1)
    randomize(model, seed=1)
    model.get_layer("output_conv").bias.assign([60.0, 128.0, 220.0])
    kernel = model.get_layer("output_conv").kernel
    kernel.assign(kernel * 20)
    folder = tmp_path_factory.mktemp("export") / "web"
    stylizer_to_web(model, folder, photos(3, SIDE, SIDE), SIDE)
    return model, folder


@pytest.fixture(scope="module")
def visit(browser, stylizer, tmp_path_factory):
    """One visit with everything in it: starting Chromium takes seconds."""
    root, folder = tmp_path_factory.mktemp("sites"), tmp_path_factory.mktemp("visitor")
    _site(root / "page", stylizer[1])
    _site(root / "page" / "missing", None)
    for i, shape in enumerate([(90, 61), (40, 130)]):
        pixels = photos(1, *shape, seed=i)[0].astype("uint8")
        Image.fromarray(pixels).save(folder / f"{i}.png")
    (folder / "notes.txt").write_text("not a picture")
    with served(root / "page") as address:
        command = ["node", str(Path(__file__).with_name("stylize.mjs")), address, str(folder)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=200)
        assert done.returncode == 0, done.stderr
    return json.loads(done.stdout), address, folder


def _site(site, network):
    shutil.copytree(WEB_DEMO, site, ignore=shutil.ignore_patterns(*IGNORED))
    (site / "node_modules").symlink_to(WEB_DEMO / "node_modules")
    if network is not None:
        shutil.copytree(network, site / "stylizer")


def expected(model, file):
    image = np.asarray(Image.open(file).convert("RGB"))
    x = square_photos(SIDE).evaluation(image).numpy()[None]
    return np.clip(model(x, training=False).numpy()[0].astype("float64"), 0, 255)


@pytest.mark.parametrize("name", ["0", "1"])
def test_the_page_shows_what_keras_paints(visit, stylizer, name):
    seen, _, folder = visit
    assert seen["paintings"]["first" if name == "0" else "second"] == [SIDE, SIDE]
    pixels = np.fromfile(folder / f"{name}.rgba", "uint8").reshape(SIDE, SIDE, 4)
    painting = expected(stylizer[0], folder / f"{name}.png")
    assert painting.std() > 10
    assert (pixels[..., 3] == 255).all()
    assert np.abs(pixels[..., :3] - painting).max() <= 0.52


def test_the_download_is_the_painting(visit):
    seen, _, folder = visit
    assert seen["paintings"]["download"] == "1_painted.png"
    pixels = np.asarray(Image.open(folder / "download.png").convert("RGBA"))
    shown = np.fromfile(folder / "1.rgba", "uint8").reshape(SIDE, SIDE, 4)
    np.testing.assert_array_equal(pixels, shown)


def test_the_page_says_what_it_does(visit):
    seen = visit[0]["paintings"]
    assert seen["ready"] == "Ready. Choose, drop or paste a photo."
    assert seen["network"] == (
        "stylization_net: the middle of the photo, 48 × 48 pixels; "
        "computed by WebAssembly (WebGPU has no graphics card here)"
    )
    assert seen["status"].startswith("1.png: painted in ")
    assert seen["mistake"] == "notes.txt is not an image that this browser can read."
    assert seen["problems"] == []
    message = "There is no network in stylizer/ yet. Put a trained one there with"
    assert visit[0]["missing"].startswith(message)


def test_tabs_are_reached_with_the_keyboard(visit):
    seen = visit[0]["keyboard"]
    assert seen["start"]["panels"] == ["recognize"]
    for key, name in (("right", "stylize"), ("home", "recognize")):
        assert seen[key] == {
            "panels": [name],
            "selected": f"{name}-tab",
            "focused": f"{name}-tab",
        }


def test_nothing_is_asked_of_any_other_machine_and_nothing_sticks_out(visit):
    seen, address, _ = visit
    assert any(url.endswith("stylizer/model.tflite") for url in seen["requests"])
    assert all(url.startswith((address, "blob:", "data:")) for url in seen["requests"])
    assert set(seen["overflow"].values()) == {0}


def test_the_browser_computes_what_keras_computes(browser, stylizer, visit):
    model, folder = stylizer
    files = [visit[2] / "0.png", visit[2] / "1.png"]
    answers = run_files_in_browser(folder / "model.tflite", files, square_photos(SIDE))
    (values,) = answers.outputs.values()
    painted = model(answers.prepared, training=False).numpy()
    assert np.abs(values - painted).max() < 1e-5 * np.abs(painted).max()


def test_the_page_learns_its_size(stylizer):
    description = read_json(stylizer[1] / "model.json")
    assert description["input"] == {"name": "image", "shape": [1, SIDE, SIDE, 3]}
    assert description["preprocessing"]["image_size"] == SIDE
