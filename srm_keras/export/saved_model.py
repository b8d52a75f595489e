"""SavedModel, the format of TensorFlow Serving and of every TensorFlow program without Keras."""

import os
from pathlib import Path

import keras
import numpy as np

from srm_keras.export.checked import TOLERANCE, Format, export
from srm_keras.export.report import ExportReport
from srm_keras.export.runners import saved_model_runner, signature


def write_saved_model(model: keras.Model, path: str | os.PathLike) -> None:
    """Write the inference of ``model`` with its input's name and dtype and a dynamic batch."""
    model.export(os.fspath(path), input_signature=[signature(model)], verbose=False)


def to_saved_model(
    model: keras.Model,
    path: str | os.PathLike,
    samples: np.ndarray,
    fold: bool = True,
    tolerance: float = TOLERANCE,
) -> ExportReport:
    """Export ``model`` as a SavedModel that computes the same, with a report beside it.

    The signature ``serving_default`` takes the input by its name (``image`` in the networks of this
    package), in batches of any size, and returns ``output_0``. It needs TensorFlow and no Keras:
    ``tf.saved_model.load(path).signatures["serving_default"](image=images)``.

    The folder is published only after its outputs were compared with those of ``model``. A
    SavedModel that lies at ``path`` is replaced then, and left alone where the export fails.

    Args:
        model: a functional model with one input and one output; not changed.
        path: the folder to write. ``report.json`` and ``report.md`` beside it hold the reports on
            all exports to the same place.
        samples: real inputs, prepared as for training: floating, of the input's shape.
        fold: whether to merge batch norm into the layers before it (``srm_keras.export.fold``).
        tolerance: largest difference from the outputs of ``model``: absolute for outputs up to 1,
            relative to the largest output beyond.

    Raises:
        ValueError: an argument is not one of the above; nothing was written.
        ExportError: the outputs differ by more than ``tolerance``; nothing was written.
    """
    path = Path(path)
    if path.is_file() or (
        path.is_dir() and any(path.iterdir()) and not (path / "saved_model.pb").is_file()
    ):
        raise ValueError(
            "`path` must be a new or empty folder, or a SavedModel to replace. "
            f"Received: path={str(path)!r}"
        )
    file_format = Format("SavedModel", write_saved_model, saved_model_runner)
    return export(model, path, samples, file_format, fold, tolerance)
