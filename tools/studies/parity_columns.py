"""The networks and the runtimes of the parity matrix."""

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

from srm_keras.data import Preprocessing, texture_shapes
from srm_keras.export.onnx import to_onnx
from srm_keras.export.runners import Runner, TFLiteRunner, onnx_runner, openvino_runner
from srm_keras.export.serving.saved_model import to_saved_model
from srm_keras.export.tflite.exporter import to_tflite
from srm_keras.export.web.browser import missing_for_browser, run_in_browser
from srm_keras.models import CifarResNet, ResNet18, ResNet50
from tools.studies.exported_files import take_statistics

CLASSES = 10
TRAIN_IMAGES = 256
STATISTICS_IMAGES = 64
DAMPING = 0.25


@dataclass(frozen=True)
class Network:
    """A network of the matrix.

    Attributes:
        build: Its builder.
        side: Of the images in pixels.
        branch_end: How the names of the batch norms end that end a residual branch.
    """

    build: Callable[..., keras.Model]
    side: int
    branch_end: str


NETWORKS = {
    "cifar_resnet8_bottleneck": Network(partial(CifarResNet, 8), 32, "_3_bn"),
    "cifar_resnet56_bottleneck": Network(partial(CifarResNet, 56), 32, "_3_bn"),
    "resnet18": Network(ResNet18, 64, "_2_bn"),
    "resnet50": Network(ResNet50, 64, "_3_bn"),
}
FULL = ("cifar_resnet56_bottleneck", "resnet18", "resnet50")
QUICK = ("cifar_resnet8_bottleneck",)
MODULES = ("none", "srm", "se", "ge", "eca", "cbam", "simam", "gct", "fca")


@dataclass(frozen=True)
class Images:
    """Prepared images of texture_shapes.

    Attributes:
        train: float32 (256, side, side, 3): the integer formats take their ranges from them, and
            batch norm its statistics from the first 64.
        test: float32 (N, side, side, 3): outputs are compared on them.
    """

    train: np.ndarray
    test: np.ndarray


def images(side: int, samples: int) -> Images:
    """Draw the images for networks that read ``side`` × ``side`` pixels."""
    prepare = Preprocessing(image_size=side).evaluation

    def split(name: str) -> np.ndarray:
        drawn = texture_shapes.load_examples(
            name, size=side, train_examples=TRAIN_IMAGES, test_examples=samples
        )
        return prepare(drawn.images).numpy()

    return Images(split("train"), split("test"))


def random_network(network: str, module: str, train: np.ndarray, seed: int) -> keras.Model:
    """Build a network that gives logits, with random weights that make it much like a trained one.

    Its batch norms have the statistics of ``train``, its residual branches are small beside their
    shortcuts, and its logits have mean 0 over ``train``, so that no class always wins. Otherwise
    activations grow from block to block, and float32 itself is the largest error of all.

    Args:
        network: A key of ``NETWORKS``.
        module: One of ``MODULES``.
        train: Prepared images.
        seed: Of the weights.
    """
    settings = NETWORKS[network]
    model = settings.build(
        recalibration=module,
        input_shape=(settings.side, settings.side, 3),
        classes=CLASSES,
        classifier_activation=None,
    )
    rng = np.random.default_rng(seed)
    for variable in model.variables:
        if variable.dtype == "float32":
            variable.assign(_random_value(rng, variable.name, tuple(variable.shape)))
    for layer in model.layers:
        if layer.name.endswith(settings.branch_end):
            layer.gamma.assign(DAMPING * layer.gamma)
    train = train[:STATISTICS_IMAGES]
    take_statistics(model, train)
    classifier = model.get_layer("logits")
    classifier.bias.assign(classifier.bias - keras.ops.mean(model(train, training=False), axis=0))
    return model


def _random_value(rng: np.random.Generator, name: str, shape: tuple[int, ...]) -> np.ndarray:
    if name == "gamma":
        return rng.uniform(0.5, 1.5, shape)
    if name in ("beta", "bias"):
        return rng.normal(0.0, 0.2, shape)
    if name in ("moving_mean", "moving_variance"):
        return np.zeros(shape)
    fan_in = max(int(np.prod(shape[:-1])), 1)
    return rng.normal(0.0, np.sqrt(2.0 / fan_in), shape)


ANY_ERROR = float("inf")
FLOAT32_TOLERANCE = 1e-5


@dataclass(frozen=True)
class Column:
    """One runtime with one kind of file.

    Attributes:
        format: Of the file, as tables show it.
        runtime: What runs the file, as tables show it.
        file: A key of ``FILES``.
        load: Makes the file at a path runnable.
        missing: Says what this machine lacks to run it, or None.
        exact: Whether everything is computed in float32, so that the largest error must stay below
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
