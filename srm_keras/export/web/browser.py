"""TFLite files run by LiteRT.js in headless Chromium, as on the page in docs/web_demo."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from srm_keras.data.preprocessing import Preprocessing
from srm_keras.files import read_json, write_json

WEB_DEMO = Path(__file__).parents[3] / "docs" / "web_demo"
INSTALL = "cd docs/web_demo && npm ci --ignore-scripts"
TIMEOUT = 600  # Seconds; a thousand small images take a few.


class BrowserError(RuntimeError):
    """LiteRT.js refused a file, or Chromium could not be run."""


@dataclass(frozen=True)
class PageAnswers:
    """What the page makes of image files.

    Attributes:
        prepared: float32 (N, image_size, image_size, channels), what the network read.
        outputs: by name, in the order of the file, each with N in front.
    """

    prepared: np.ndarray
    outputs: dict[str, np.ndarray]


def missing_for_browser() -> str | None:
    """Say what ``run_in_browser`` lacks on this machine, or return None if nothing."""
    if not (WEB_DEMO / "headless" / "run.mjs").is_file():
        return "docs/web_demo of the repository, which the installed package does not contain"
    if shutil.which("node") is None:
        return "Node.js 20 or newer"
    if not (WEB_DEMO / "node_modules" / "playwright-core").is_dir():
        return f"the packages of docs/web_demo: {INSTALL}"
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    if not os.environ.get("CHROMIUM") and not any(map(shutil.which, names)):
        return "Chromium or Chrome"
    return None


def run_in_browser(path: str | os.PathLike, images: np.ndarray) -> list[np.ndarray]:
    """Run a TFLite file on prepared images with LiteRT.js: one thread of WebAssembly.

    Args:
        path: a ``.tflite`` file for a batch of one, with one float32 input.
        images: float (N, …), as the network reads them; run one after the other.

    Returns:
        The outputs in the order of the file, each with N in front.

    Raises:
        ValueError: ``path`` is no file, or ``images`` has no images.
        BrowserError: something is missing (``missing_for_browser``), or LiteRT.js failed: it
            refuses a dynamic batch, and inputs of 8 or 16 bits.
    """
    images = np.ascontiguousarray(images, "float32")
    if images.ndim < 2 or not len(images):
        raise ValueError(f"`images` must be (N, …) with N > 0. Received: shape={images.shape}")
    with tempfile.TemporaryDirectory() as folder:
        job = Path(folder)
        images.tofile(job / "images.bin")
        return list(_run(path, job, {"count": len(images)}, len(images)).values())


def run_files_in_browser(
    path: str | os.PathLike, files: Sequence[str | os.PathLike], preprocessing: Preprocessing
) -> PageAnswers:
    """Run a TFLite file on image files, decoded and prepared as the page does.

    Args:
        path: as of ``run_in_browser``.
        files: JPEG, PNG or what else Chromium reads.
        preprocessing: of the network.

    Raises:
        ValueError: ``path`` or one of ``files`` is no file, or there are none.
        BrowserError: as of ``run_in_browser``, or a file is no image.
    """
    missing = [str(file) for file in files if not Path(file).is_file()]
    if missing or not files:
        raise ValueError(f"`files` must be image files. Received: {missing[:1] or list(files)}")
    names = [f"{i}{Path(file).suffix}" for i, file in enumerate(files)]
    with tempfile.TemporaryDirectory() as folder:
        job = Path(folder)
        for name, file in zip(names, files, strict=True):
            shutil.copyfile(file, job / name)
        plan = {"files": names, "preprocessing": preprocessing.to_dict()}
        outputs = _run(path, job, plan, len(files))
        side, channels = preprocessing.image_size, preprocessing.channels
        prepared = np.fromfile(job / "prepared.bin", "float32")
    return PageAnswers(prepared.reshape(-1, side, side, channels), outputs)


def _run(
    path: str | os.PathLike, job: Path, plan: dict[str, Any], count: int
) -> dict[str, np.ndarray]:
    if not Path(path).is_file():
        raise ValueError(f"`path` must be a file *.tflite. Received: path={os.fspath(path)!r}")
    missing = missing_for_browser()
    if missing:
        raise BrowserError(f"To run LiteRT.js, this is missing: {missing}")
    shutil.copyfile(path, job / "model.tflite")
    write_json(job / "job.json", plan)
    command = ["node", str(WEB_DEMO / "headless" / "run.mjs"), str(job)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT)
    except subprocess.TimeoutExpired:
        raise BrowserError(f"LiteRT.js did not answer within {TIMEOUT} s") from None
    if done.returncode:
        raise BrowserError(done.stderr.strip().removeprefix("error: ") or "Chromium failed")
    outputs = read_json(job / "outputs.json")
    return {
        output["name"]: _output(job / f"{i}.bin", output, count) for i, output in enumerate(outputs)
    }


def _output(file: Path, output: dict[str, Any], count: int) -> np.ndarray:
    dtype = output["type"].removesuffix("Array").lower()  # Float32Array and so on
    return np.fromfile(file, dtype).reshape(count, *output["shape"][1:])
