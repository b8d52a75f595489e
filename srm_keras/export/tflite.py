"""TFLite, the format of LiteRT on phones and small machines."""

import os
import tempfile
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from srm_keras.export.checked import TOLERANCE, Format, export
from srm_keras.export.report import ExportReport
from srm_keras.export.runners import TFLiteRunner
from srm_keras.export.saved_model import write_saved_model


def write_tflite(model: keras.Model, path: str | os.PathLike) -> None:
    """Write ``model`` in float32 with a dynamic batch."""
    with tempfile.TemporaryDirectory() as folder:
        # By way of a SavedModel: converting a traced function directly has produced NaN.
        write_saved_model(model, folder)
        converted = tf.lite.TFLiteConverter.from_saved_model(folder).convert()
    Path(path).write_bytes(converted)


def to_tflite(
    model: keras.Model,
    path: str | os.PathLike,
    samples: np.ndarray,
    fold: bool = True,
    tolerance: float = TOLERANCE,
) -> ExportReport:
    """Export ``model`` as a float32 TFLite file that computes the same, with a report beside it.

    The batch is dynamic: resize the input (``resize_tensor_input``) to run more than one image.

    The file is published only after its outputs were compared with those of ``model``. A file at
    ``path`` is replaced then, and left alone where the export fails.

    Args:
        model: a functional model with one input and one output; not changed.
        path: the file to write, ``….tflite``. ``report.json`` and ``report.md`` beside it hold the
            reports on all exports to the same place.
        samples: real inputs, prepared as for training: floating, of the input's shape.
        fold: whether to merge batch norm into the layers before it (``srm_keras.export.fold``).
        tolerance: largest difference from the outputs of ``model``: absolute for outputs up to 1,
            relative to the largest output beyond.

    Raises:
        ValueError: an argument is not one of the above, or a layer does not compute in
            float32; nothing was written.
        ExportError: the outputs differ by more than ``tolerance``; nothing was written.
    """
    path = Path(path)
    if path.suffix != ".tflite" or path.is_dir():
        raise ValueError(f"`path` must be a file *.tflite. Received: path={str(path)!r}")
    check_float32(model)
    file_format = Format("TFLite float32", write_tflite, TFLiteRunner)
    return export(model, path, samples, file_format, fold, tolerance)


def check_float32(model: keras.Model) -> None:
    """Raise ``ValueError`` where a layer of ``model`` computes in another dtype than float32."""
    for layer in getattr(model, "layers", ()):
        if layer.compute_dtype != "float32":
            raise ValueError(
                "`model` must compute in float32: build it under the policy 'float32' and load the "
                f"weights. Received: {model.name!r}, whose layer {layer.name!r} computes in "
                f"{layer.compute_dtype}"
            )
