"""A network for the web page in docs/web_demo: what LiteRT.js runs, and what the page must know."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from srm_keras.data.preprocessing import Preprocessing
from srm_keras.export.bounds import exact_bound, sum_to_one
from srm_keras.export.deploy import Deployed
from srm_keras.export.parity import BATCH_SIZE
from srm_keras.export.pipeline import Exportable, ExportError, Format, export
from srm_keras.export.report import ExportReport
from srm_keras.export.runners import SIGNATURE, TFLiteRunner, load_interpreter
from srm_keras.export.serving.saved_model import check_preprocessing
from srm_keras.export.serving.signatures import check_image_output
from srm_keras.export.tflite.conversion import Conversion, check_float
from srm_keras.export.tflite.exporter import tflite_details
from srm_keras.layers import Recalibration
from srm_keras.models.flatten import flatten
from srm_keras.support.files import read_json, write_json
from srm_keras.support.validation import class_names, positive_int

MODEL = "model.tflite"
DESCRIPTION = "model.json"
PREDICTIONS = "predictions"

GATE_TOLERANCE = 1e-4


def to_web(
    model: keras.Model,
    folder: str | os.PathLike,
    samples: np.ndarray,
    preprocessing: Preprocessing,
    classes: Sequence[str],
) -> ExportReport:
    """Export ``model`` for the web page, with the gates of every block among its outputs.

    Writes ``model.tflite`` (float32, one image at a time, which is what LiteRT.js runs; outputs
    ``predictions`` and ``<block>_gates``) and ``model.json`` (classes, preprocessing, the blocks in
    network order). Both are compared with ``model`` on all samples before they are published: the
    predictions to 10⁻⁵, as in the other formats, and the gates to 10⁻⁴ of what
    ``Recalibration.gates`` returns there. A folder written earlier is replaced only then.

    Args:
        model: A functional classifier with one input, (image_size, image_size, channels); not
            changed. Without recalibration layers there are predictions only.
        folder: The folder to write; ``report.json`` and ``report.md`` beside it get an entry.
        samples: Real images, prepared as for training: float (N, H, W, C).
        preprocessing: What the page does with an image before the network reads it.
        classes: A name for each output of ``model``.

    Raises:
        ValueError: An argument is not one of the above, or a recalibration layer has no deploy form
            (``deploy``); nothing was written.
        ExportError: Predictions or gates are not those of ``model``; nothing was written.
    """
    source = Exportable(model, samples)
    return export(source, Path(folder), web_format(source, preprocessing, classes))


def web_format(source: Exportable, preprocessing: Preprocessing, classes: Sequence[str]) -> Format:
    """What ``to_web`` writes; see there."""
    check_float(source.model)
    _check_shape(source.model, preprocessing)
    check_preprocessing(preprocessing, source.model)
    _check_classes(source.model, classes)
    source.deployed().gates()
    page = _Page(source, preprocessing, tuple(classes))
    return Format(
        name="web page",
        write=page.write,
        load=WebRunner,
        check_path=web_folder,
        details=_details,
        named=True,
    )


class WebRunner:
    """What ``to_web`` wrote, run by LiteRT in Python.

    Args:
        folder: With ``model.tflite``.
    """

    def __init__(self, folder: str | os.PathLike):
        self.interpreter = load_interpreter(Path(folder) / MODEL)
        self.signature = self.interpreter.get_signature_runner(SIGNATURE)
        (self.input,) = self.signature.get_input_details()

    def outputs(self, images: np.ndarray) -> dict[str, np.ndarray]:
        """All outputs by name, for images (N, H, W, C)."""
        answers = [self.signature(**{self.input: image[np.newaxis]}) for image in images]
        return {name: np.concatenate([one[name] for one in answers]) for name in answers[0]}

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """The predictions alone."""
        return self.outputs(images)[PREDICTIONS]


@dataclass(frozen=True)
class _Page:
    """What goes into the folder: the arguments of ``to_web``."""

    source: Exportable
    preprocessing: Preprocessing
    classes: tuple[str, ...]

    def write(self, written: Deployed, folder: Path) -> None:
        """Write the model in deploy form; raise ``ExportError`` if its gates are not the same."""
        model = flatten(self.source.reference)
        modules = [layer for layer in model.layers if isinstance(layer, Recalibration)]
        gates = written.gates()
        outputs = {PREDICTIONS: written.network.outputs[0]}
        outputs |= {_output(module): gates[module.name] for module in modules}
        folder.mkdir()
        one_image = Conversion("float32", batch_size=1)
        network = keras.Model(written.network.inputs[0], outputs, name=self.source.model.name)
        (folder / MODEL).write_bytes(one_image.convert(network))
        runner = WebRunner(folder)
        error = self._gate_error(runner, model, modules)
        write_json(folder / DESCRIPTION, self._description(runner, modules, error))

    def _gate_error(
        self, runner: WebRunner, model: keras.Model, modules: list[Recalibration]
    ) -> float:
        """The largest difference of a gate; ``ExportError`` where that is too much."""
        largest = 0.0
        for images, gates in _gates(model, modules, self.source.samples):
            outputs = runner.outputs(images)
            for module, expected in zip(modules, gates, strict=True):
                error = float(np.abs(outputs[_output(module)] - expected).max())
                if not error <= GATE_TOLERANCE:
                    raise ExportError(
                        f"The web page was not written: gates of {module.name!r} differ from the "
                        f"Keras model's by up to {error:.3g}, more than {GATE_TOLERANCE:g}."
                    )
                largest = max(largest, error)
        return largest

    def _description(
        self, runner: WebRunner, modules: list[Recalibration], gate_error: float
    ) -> dict[str, Any]:
        outputs = runner.outputs(self.source.samples[:BATCH_SIZE])
        return {
            "model": self.source.model.name,
            "input": {"name": runner.input, "shape": [1, *self.source.samples.shape[1:]]},
            "preprocessing": self.preprocessing.to_dict(),
            "classes": list(self.classes),
            "scores": "probabilities" if sum_to_one(outputs[PREDICTIONS]) else "logits",
            "gates": [
                {
                    "name": module.name.removesuffix("_recalibration"),
                    "output": _output(module),
                    "shape": [1, *outputs[_output(module)].shape[1:]],
                    "module": type(module).__name__,
                }
                for module in modules
            ],
            "gates_max_error": gate_error,
        }


def _output(module: Recalibration) -> str:
    """What the gates of ``module`` are called in the file."""
    return f"{module.name}_gates"


def _gates(
    model: keras.Model, modules: list[Recalibration], samples: np.ndarray
) -> Iterator[tuple[np.ndarray, list[np.ndarray]]]:
    """Batches of ``samples``, each with what the modules of the Keras model compute for it."""
    if not modules:
        return
    features = keras.Model(model.inputs[0], {module.name: module.input for module in modules})
    for start in range(0, len(samples), BATCH_SIZE):
        images = samples[start : start + BATCH_SIZE]
        inputs = features(images, training=False)
        gates = [module.gates(inputs[module.name], training=False) for module in modules]
        yield images, [keras.ops.convert_to_numpy(one) for one in gates]


def _details(folder: Path) -> dict[str, Any]:
    description = read_json(folder / DESCRIPTION)
    return {"blocks": len(description["gates"]), "gates_max_error": description["gates_max_error"]}


def _check_shape(model: keras.Model, preprocessing: Preprocessing) -> None:
    side, channels = preprocessing.image_size, preprocessing.channels
    shape = tuple(model.inputs[0].shape[1:])
    if shape != (side, side, channels):
        raise ValueError(
            f"`preprocessing` must give what the network reads, {shape}. Received: "
            f"image_size={side} and channels={channels}"
        )


def _check_classes(model: keras.Model, classes: Sequence[str]) -> None:
    shape = tuple(model.outputs[0].shape)
    names = not isinstance(classes, str) and all(isinstance(name, str) for name in classes)
    if len(shape) != 2 or not names or len(classes) != shape[1]:
        raise ValueError(
            f"`classes` must hold a name for each score of the network, whose output is {shape}. "
            f"Received: {len(classes)} {'names' if names else 'values that are not all texts'}"
        )
    class_names("classes", classes)


def web_folder(folder: str | os.PathLike) -> Path:
    """Return ``folder`` if a web export may be written there or replaced, else raise ValueError."""
    path = Path(folder)
    ours = path.is_dir() and {file.name for file in path.iterdir()} <= {MODEL, DESCRIPTION}
    if path.exists() and not ours:
        raise ValueError(
            f"`folder` must be new or empty, or hold {MODEL} and {DESCRIPTION} of an earlier "
            f"export. Received: folder={str(path)!r}"
        )
    return path


def square_photos(image_size: int) -> Preprocessing:
    """The middle of a photo as stylization networks read it: RGB of 0 to 255, the side given."""
    return Preprocessing(image_size, resize=image_size, mean=(0.0,), std=(1 / 255,))


def stylizer_to_web(
    model: keras.Model,
    folder: str | os.PathLike,
    samples: np.ndarray,
    image_size: int,
    tolerance: float | None = None,
) -> ExportReport:
    """Export a stylization network for the web page, for photos of one size.

    Writes ``model.tflite`` (float32, one image at a time, which is what LiteRT.js runs) and
    ``model.json`` (the input, and how the page makes it of a photo). The outputs are compared with
    those of ``model`` on all samples before they are published.

    Args:
        model: From RGB images of 0 to 255 to such images, as ``StylizationNet``; not changed.
        folder: The folder to write; ``report.json`` and ``report.md`` beside it get an entry.
        samples: Real images, float (N, image_size, image_size, 3), 0 to 255.
        image_size: Side of the square that the page paints, in pixels.
        tolerance: Largest difference from the outputs of ``model``, as a part of the largest; None:
            a quarter of a grey level.

    Raises:
        ValueError: An argument is not one of the above; nothing was written.
        ExportError: The outputs differ by more than that; nothing was written.
    """
    source = Exportable(model, samples)
    return export(source, Path(folder), stylizer_web_format(source, image_size, tolerance))


def stylizer_web_format(
    source: Exportable, image_size: int, tolerance: float | None = None
) -> Format:
    """What ``stylizer_to_web`` writes; see there."""
    check_float(source.model)
    check_image_output(source.model)
    _check_floats(source.model)
    side = positive_int("image_size", image_size)

    def write(written: Deployed, path: Path) -> None:
        path.mkdir()
        (path / MODEL).write_bytes(Conversion("float32", batch_size=1).convert(written))
        description = {
            "model": source.model.name,
            "input": {"name": written.network.inputs[0].name, "shape": [1, side, side, 3]},
            "preprocessing": square_photos(side).to_dict(),
        }
        write_json(path / DESCRIPTION, description)

    return Format(
        name="web page",
        write=write,
        load=lambda path: TFLiteRunner(path / MODEL),
        bound=exact_bound(tolerance),
        check_path=web_folder,
        details=lambda path: tflite_details(path / MODEL),
        input_shape=(side, side, 3),
    )


def _check_floats(model: keras.Model) -> None:
    dtype = model.inputs[0].dtype
    if "int" in dtype:
        raise ValueError(
            f"`model` must read floats: LiteRT.js takes no images of {dtype}. "
            f"Received: {model.name!r}"
        )
