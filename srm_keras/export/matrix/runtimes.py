"""The columns of the parity matrix: which file each runtime reads, and how it is made and run."""

import importlib.util
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import keras
import numpy as np

from srm_keras.export.matrix.networks import Images
from srm_keras.export.onnx.exporter import to_onnx
from srm_keras.export.onnx.onnx_runtime import onnx_runner
from srm_keras.export.onnx.openvino import openvino_runner
from srm_keras.export.runners import Runner, TFLiteRunner
from srm_keras.export.serving.saved_model import to_saved_model
from srm_keras.export.tflite.exporter import to_tflite
from srm_keras.export.web.browser import missing_for_browser, run_in_browser

ANY_ERROR = float("inf")
FLOAT32_TOLERANCE = 1e-5


@dataclass(frozen=True)
class Column:
    """One runtime with one kind of file.

    Attributes:
        format: of the file, as tables show it.
        runtime: what runs the file, as tables show it.
        file: a key of ``FILES``.
        load: makes the file at a path runnable.
        missing: says what this machine lacks to run it, or None.
        exact: whether everything is computed in float32, so that the largest error must stay below
            10⁻⁵ of the largest output.
    """

    format: str
    runtime: str
    file: str
    load: Callable[[Path], Runner]
    missing: Callable[[], str | None] = lambda: None
    exact: bool = False


def _tflite(file_format: str, batch_size: int | None = None) -> Callable[..., object]:
    def write(network: keras.Model, path: Path, images: Images) -> None:
        to_tflite(
            network,
            path,
            images.test,
            format=file_format,
            representative=images.train if file_format.startswith("int") else None,
            batch_size=batch_size,
            fold=False,
            tolerance=ANY_ERROR,
            min_snr_db=-ANY_ERROR,
        )

    return write


def _unchecked(export: Callable[..., object]) -> Callable[..., object]:
    def write(network: keras.Model, path: Path, images: Images) -> None:
        export(network, path, images.test, fold=False, tolerance=ANY_ERROR)

    return write


FILES: dict[str, Callable[[keras.Model, Path, Images], object]] = {
    "saved_model": _unchecked(to_saved_model),
    "model.onnx": _unchecked(to_onnx),
    "float32.tflite": _tflite("float32"),
    "float16.tflite": _tflite("float16"),
    "dynamic.tflite": _tflite("dynamic"),
    "int8.tflite": _tflite("int8"),
    "int16x8.tflite": _tflite("int16x8"),
    "float32_one_image.tflite": _tflite("float32", 1),
    "float16_one_image.tflite": _tflite("float16", 1),
    "int8_one_image.tflite": _tflite("int8", 1),
}
"""How each file is written. The errors are what the matrix measures, so no export is refused."""


def _missing_package(name: str) -> str | None:
    found = importlib.util.find_spec(name)
    return None if found else f"the package {name}: pip install {name}"


WITHOUT_KERAS = """
import sys
sys.modules["keras"] = sys.modules["srm_keras"] = None  # From here on importing them fails.
import numpy as np
import tensorflow as tf
folder, images, outputs = sys.argv[1:]
function = tf.saved_model.load(folder).signatures["serving_default"]
np.save(outputs, function(image=tf.constant(np.load(images)))["output_0"])
"""


def without_keras_runner(path: Path) -> Runner:
    """A SavedModel in a process of its own, in which neither Keras nor this package exists."""

    def run(images: np.ndarray) -> np.ndarray:
        with tempfile.TemporaryDirectory() as folder:
            files = [Path(folder) / "images.npy", Path(folder) / "outputs.npy"]
            np.save(files[0], images)
            command = [sys.executable, "-I", "-c", WITHOUT_KERAS, str(path), *map(str, files)]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                raise RuntimeError(done.stderr.strip().split("\n")[-1])
            return np.load(files[1])

    return run


def browser_runner(path: Path) -> Runner:
    """A TFLite file for one image at a time in headless Chromium."""
    return lambda images: run_in_browser(path, images)[0]


_litert = partial(Column, runtime="LiteRT", load=TFLiteRunner)
_openvino = partial(
    Column,
    runtime="OpenVINO",
    load=openvino_runner,
    missing=partial(_missing_package, "openvino"),
)
_browser = partial(
    Column, runtime="LiteRT.js in Chromium", load=browser_runner, missing=missing_for_browser
)

COLUMNS = (
    Column(
        "SavedModel",
        "TensorFlow, a process without Keras",
        "saved_model",
        without_keras_runner,
        exact=True,
    ),
    _litert("TFLite float32", file="float32.tflite", exact=True),
    _litert("TFLite float16", file="float16.tflite"),
    _litert("TFLite dynamic", file="dynamic.tflite"),
    _litert("TFLite int8", file="int8.tflite"),
    _litert("TFLite int16x8", file="int16x8.tflite"),
    Column(
        "ONNX",
        "ONNX Runtime",
        "model.onnx",
        onnx_runner,
        partial(_missing_package, "onnxruntime"),
        exact=True,
    ),
    _openvino("ONNX", file="model.onnx", exact=True),
    _openvino("TFLite float32", file="float32.tflite", exact=True),
    _openvino("TFLite float16", file="float16.tflite"),
    _openvino("TFLite int8", file="int8.tflite"),
    _browser("TFLite float32", file="float32_one_image.tflite", exact=True),
    _browser("TFLite float16", file="float16_one_image.tflite"),
    _browser("TFLite int8", file="int8_one_image.tflite"),
)
