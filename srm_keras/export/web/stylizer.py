"""A stylization network for the web page in docs/web_demo."""

import os
from pathlib import Path

import keras
import numpy as np

from srm_keras.data.preprocessing import Preprocessing
from srm_keras.export.bounds import exact_bound
from srm_keras.export.checked import Format, check_model, export
from srm_keras.export.report import ExportReport
from srm_keras.export.runners import TFLiteRunner
from srm_keras.export.serving.image_signatures import check_image_output
from srm_keras.export.sizes import with_input_shape
from srm_keras.export.tflite.conversion import Conversion, check_float
from srm_keras.export.tflite.graph import tflite_details
from srm_keras.export.web.exporter import DESCRIPTION, MODEL, web_folder
from srm_keras.files import write_json
from srm_keras.validation import positive_int


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
        model: from RGB images of 0 to 255 to such images, as ``StylizationNet``; not changed.
        folder: the folder to write; ``report.json`` and ``report.md`` beside it get an entry.
        samples: real images, float (N, image_size, image_size, 3), 0 to 255.
        image_size: side of the square that the page paints, in pixels.
        tolerance: largest difference from the outputs of ``model``, as a part of the largest; None:
            a quarter of a grey level.

    Raises:
        ValueError: an argument is not one of the above; nothing was written.
        ExportError: the outputs differ by more than that; nothing was written.
    """
    check_model(model)
    check_float(model)
    check_image_output(model)
    _check_floats(model)
    side = positive_int("image_size", image_size)
    fixed = with_input_shape(model, (side, side, 3))

    def write(network: keras.Model, path: Path) -> None:
        path.mkdir()
        (path / MODEL).write_bytes(Conversion("float32", batch_size=1).convert(network))
        description = {
            "model": model.name,
            "input": {"name": network.inputs[0].name, "shape": [1, side, side, 3]},
            "preprocessing": square_photos(side).to_dict(),
        }
        write_json(path / DESCRIPTION, description)

    file_format = Format(
        name="web page",
        write=write,
        load=lambda path: TFLiteRunner(path / MODEL),
        bound=exact_bound(tolerance),
        details=lambda path: tflite_details(path / MODEL),
    )
    return export(fixed, web_folder(folder), samples, file_format, True, model)


def _check_floats(model: keras.Model) -> None:
    dtype = model.inputs[0].dtype
    if "int" in dtype:
        raise ValueError(
            f"`model` must read floats: LiteRT.js takes no images of {dtype}. "
            f"Received: {model.name!r}"
        )
