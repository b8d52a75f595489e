"""Copies of the web page in several states, and what a visitor in headless Chromium sees there."""

import contextlib
import dataclasses
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import keras
import numpy as np
import pytest

from srm_keras.data.preprocessing import Preprocessing
from srm_keras.export.web.browser import WEB_DEMO, missing_for_browser
from srm_keras.export.web.exporter import to_web
from srm_keras.models import CifarResNet
from tests.support.weights import feature_map, randomize

HERE = Path(__file__).parent
PREPROCESSING = Preprocessing(image_size=16, resize=20, mean=(0.4, 0.5, 0.6), std=(0.2, 0.25, 0.3))
GREY = Preprocessing(image_size=16, channels=1)
IGNORED = ("node_modules", "model", "stylizer")
CLASSES = ("ash", "birch", "cedar", "date palm", "elm", "<b>fir</b>", "ginkgo")


@dataclasses.dataclass(frozen=True)
class Exported:
    """A network with random weights and the folder that ``to_web`` made of it."""

    model: keras.Model
    samples: np.ndarray
    folder: Path


def network(module, preprocessing: Preprocessing = PREPROCESSING, **options) -> keras.Model:
    side = preprocessing.image_size
    model = CifarResNet(
        8,
        block="basic",
        recalibration=module,
        classes=len(CLASSES),
        input_shape=(side, side, preprocessing.channels),
        **options,
    )
    randomize(model, seed=1)
    return model


@pytest.fixture(scope="session")
def web_export(tmp_path_factory):
    """``web_export(module, preprocessing, **options)``: a network and its files, made once."""
    done: dict[str, Exported] = {}

    def export(module, preprocessing=PREPROCESSING, **options):
        key = repr((module, preprocessing, options))
        if key not in done:
            done[key] = write(module, preprocessing, options)
        return done[key]

    def write(module, preprocessing, options):
        model = network(module, preprocessing, **options)
        samples = feature_map((5, *model.input_shape[1:]), seed=2)
        folder = tmp_path_factory.mktemp("export") / "web"
        to_web(model, folder, samples, preprocessing, CLASSES)
        return Exported(model, samples, folder)

    return export


@pytest.fixture(scope="session")
def srm_export(web_export):
    return web_export("srm")


@pytest.fixture(scope="session")
def browser():
    """Skips where LiteRT.js cannot be run."""
    missing = missing_for_browser()
    if missing:
        pytest.skip(f"missing: {missing}")


@dataclasses.dataclass(frozen=True)
class Visit:
    """What the page showed, and the images it was shown."""

    seen: dict
    address: str
    images: list[np.ndarray]
    folder: Path


def _site(root: Path, name: str, model: Path | None, packages: bool = True) -> None:
    site = root / name
    shutil.copytree(WEB_DEMO, site, ignore=shutil.ignore_patterns(*IGNORED))
    if packages:
        (site / "node_modules").symlink_to(WEB_DEMO / "node_modules")
    if model is not None:
        shutil.copytree(model, site / "model")


def _sites(root: Path, web_export, srm_export) -> None:
    _site(root, "ready", srm_export.folder)
    _site(root, "grey", web_export(None, GREY).folder)
    _site(root, "logits", web_export("cbam", classifier_activation=None).folder)
    _site(root, "no_model", None)
    _site(root, "no_packages", srm_export.folder, packages=False)
    _site(root, "broken_model", srm_export.folder)
    (root / "broken_model" / "model" / "model.tflite").write_bytes(b"no flat buffer" * 100)
    _site(root, "broken_description", srm_export.folder)
    (root / "broken_description" / "model" / "model.json").write_text("{")


def _images(folder: Path) -> list[np.ndarray]:
    """Pictures of several proportions, larger and smaller than what the network reads."""
    rng = np.random.default_rng(7)
    shapes = [(37, 61, 3), (20, 20, 3), (90, 12, 3)]
    images = [rng.integers(0, 256, shape, dtype="uint8") for shape in shapes]
    for i, image in enumerate(images):
        keras.utils.save_img(folder / f"{i}.png", image, scale=False, data_format="channels_last")
    (folder / "notes.txt").write_text("not a picture")
    return images


@contextlib.contextmanager
def served(root: Path) -> Iterator[str]:
    """The address of a web server for ``root``, while it runs."""
    command = [sys.executable, "-u", "-m", "http.server", "0", "--bind", "127.0.0.1"]
    server = subprocess.Popen(
        [*command, "--directory", str(root)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        port = re.search(r"port (\d+)", server.stdout.readline())[1]
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait()


@pytest.fixture(scope="session")
def visit(browser, web_export, srm_export, tmp_path_factory):
    """One visit with everything in it: starting Chromium takes seconds."""
    root, folder = tmp_path_factory.mktemp("sites"), tmp_path_factory.mktemp("visitor")
    _sites(root, web_export, srm_export)
    images = _images(folder)
    with served(root) as address:
        visitor = ["node", str(HERE / "page.mjs"), address, str(folder)]
        done = subprocess.run(visitor, capture_output=True, text=True, timeout=200)
        assert done.returncode == 0, done.stderr
    return Visit(json.loads(done.stdout), address, images, folder)
