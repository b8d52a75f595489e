"""The page in docs/web_demo in headless Chromium, beside TensorFlow and Keras."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from srm_keras.data.decode import decode
from srm_keras.data.preprocessing import Preprocessing
from srm_keras.export.parity import BATCH_SIZE
from srm_keras.export.web.exporter import MODEL, PREDICTIONS
from srm_keras.support.files import read_json, write_csv, write_json

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
        outputs: By name, in the order of the file, each with N in front.
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
        path: A ``.tflite`` file for a batch of one, with one float32 input.
        images: float (N, …), as the network reads them; run one after the other.

    Returns:
        The outputs in the order of the file, each with N in front.

    Raises:
        ValueError: ``path`` is no file, or ``images`` has no images.
        BrowserError: Something is missing (``missing_for_browser``), or LiteRT.js failed: it
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
        path: As of ``run_in_browser``.
        files: JPEG, PNG or what else Chromium reads.
        preprocessing: Of the network.

    Raises:
        ValueError: ``path`` or one of ``files`` is no file, or there are none.
        BrowserError: As of ``run_in_browser``, or a file is no image.
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


@dataclass(frozen=True)
class WebComparison:
    """Differences between the page and Keras, each from the same image files.

    Attributes:
        images: How many files.
        top1_agreement: Share with the same best class, in [0, 1].
        max_score_error: Largest difference of a score.
        mean_pixel_error: Mean difference of prepared pixels, in grey levels (0 to 255).
        max_pixel_error: The largest such difference.
    """

    images: int
    top1_agreement: float
    max_score_error: float
    mean_pixel_error: float
    max_pixel_error: float


def compare_with_page(
    model: keras.Model,
    folder: str | os.PathLike,
    files: Sequence[Path],
    preprocessing: Preprocessing,
    classes: Sequence[str],
    out: str | os.PathLike,
) -> WebComparison:
    """Run image files through the page in headless Chromium, and through TensorFlow and Keras.

    Unlike the parity of ``to_web``, this includes decoding and resizing. Writes
    ``web_comparison.csv``, a row for each file, and ``web_comparison.json``.

    Args:
        model: The Keras model that was exported.
        folder: What ``to_web`` wrote.
        files: Images that both TensorFlow and Chromium read (JPEG, PNG).
        preprocessing: Of the network; three channels.
        classes: Their names.
        out: Folder for the two files.

    Raises:
        ValueError: There are no files, or the network reads grey images.
        BrowserError: Chromium is missing or failed.
    """
    check_comparable(preprocessing, files)
    page = run_files_in_browser(Path(folder) / MODEL, files, preprocessing)
    scores = page.outputs[PREDICTIONS]
    inputs = np.stack([_prepared(file, preprocessing) for file in files])
    expected = model.predict(inputs, batch_size=BATCH_SIZE, verbose=0)
    levels = 255 * np.abs(page.prepared - inputs) * preprocessing.std
    best = {"page": scores.argmax(axis=-1), "keras": expected.argmax(axis=-1)}
    result = WebComparison(
        images=len(files),
        top1_agreement=float(np.mean(best["page"] == best["keras"])),
        max_score_error=float(np.abs(scores - expected).max()),
        mean_pixel_error=float(levels.mean()),
        max_pixel_error=float(levels.max()),
    )
    names = {name: [classes[i] for i in indices] for name, indices in best.items()}
    _write(Path(out), files, names, result)
    return result


def check_comparable(preprocessing: Preprocessing, files: Sequence[Path]) -> None:
    """Raise what ``compare_with_page`` raises before it starts."""
    if preprocessing.channels != 3:
        raise ValueError(
            "`preprocessing` must be that of a network for colour images: TensorFlow does not turn "
            f"them to grey as the page does. Received: channels={preprocessing.channels}"
        )
    if not files:
        raise ValueError("`files` must be JPEG or PNG files. Received: none")
    missing = missing_for_browser()
    if missing:
        raise BrowserError(f"To compare with the page, this is missing: {missing}")


def _prepared(file: Path, preprocessing: Preprocessing) -> np.ndarray:
    return preprocessing.evaluation(decode(tf.constant(file.read_bytes()))).numpy()


def _write(
    out: Path,
    files: Sequence[Path],
    best: Mapping[str, Sequence[str]],
    result: WebComparison,
) -> None:
    rows = [
        {"file": file.name, **{name: best[name][i] for name in best}}
        for i, file in enumerate(files)
    ]
    write_csv(out / "web_comparison.csv", rows)
    write_json(out / "web_comparison.json", asdict(result))
