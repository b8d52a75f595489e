"""The formats that a stylization network is exported to, by name."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np

from srm_keras.export.report import ExportReport
from srm_keras.export.serving.saved_model import to_saved_model
from srm_keras.export.tflite.exporter import to_tflite
from srm_keras.export.web.stylizer import stylizer_to_web


@dataclass(frozen=True)
class StylizerSource:
    """What is exported.

    Attributes:
        model: from RGB images of 0 to 255 to such images, of any size.
        samples: real images, float (N, side, side, 3), on which every file is compared.
        fixed: whether TFLite files are for images of the samples' size alone.
        tolerance: what the formats that compute in float32 are held to; None for their default.
        min_snr_db: what the others are held to, in dB; None for the bound of each format.
    """

    model: keras.Model
    samples: np.ndarray
    fixed: bool = False
    tolerance: float | None = None
    min_snr_db: float | None = None


def _saved_model(source: StylizerSource, path: Path) -> ExportReport:
    options: dict[str, Any] = {"tolerance": source.tolerance, "image_output": True}
    return to_saved_model(source.model, path, source.samples, **options)


def _tflite(source: StylizerSource, path: Path, format: str = "float32") -> ExportReport:
    return to_tflite(
        source.model,
        path,
        source.samples,
        format,
        batch_size=1 if source.fixed else None,
        input_shape=source.samples.shape[1:] if source.fixed else None,
        tolerance=source.tolerance,
        min_snr_db=source.min_snr_db,
    )


def _web(source: StylizerSource, path: Path) -> ExportReport:
    side = source.samples.shape[1]
    return stylizer_to_web(source.model, path, source.samples, side, source.tolerance)


# The file or folder of each format, and what writes it.
STYLIZER_FORMATS: dict[str, tuple[str, Callable[[StylizerSource, Path], ExportReport]]] = {
    "saved_model": ("saved_model", _saved_model),
    "float32": ("model.tflite", _tflite),
    "float16": ("model_float16.tflite", partial(_tflite, format="float16")),
    "web": ("web", _web),
}
