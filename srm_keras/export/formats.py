"""Every format that a network is exported to, by name, and all of them into one folder."""

import importlib.util
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np

from srm_keras.data import Preprocessing
from srm_keras.export.onnx import to_onnx
from srm_keras.export.pipeline import ExportError, reason
from srm_keras.export.report import ExportReport
from srm_keras.export.serving.saved_model import to_saved_model
from srm_keras.export.tflite.exporter import to_tflite
from srm_keras.export.web.exporter import stylizer_to_web, to_web
from srm_keras.layers import Recalibration
from srm_keras.support.foreign import require
from srm_keras.support.validation import one_of


@dataclass(frozen=True)
class Source:
    """What is exported.

    Attributes:
        model: a functional classifier with one input.
        samples: real images, prepared as for training, on which every file is compared.
        representative: images like them, of the training split, from which the integer formats
            take the range of every tensor.
        preprocessing: how images are prepared.
        classes: a name for each output.
        tolerance: what the formats that compute in float32 are held to; None for their default.
        min_snr_db: what the others are held to, in dB; None for the bound of each format.
    """

    model: keras.Model
    samples: np.ndarray
    representative: np.ndarray
    preprocessing: Preprocessing
    classes: Sequence[str]
    tolerance: float | None = None
    min_snr_db: float | None = None

    def described(self) -> dict[str, Any]:
        """The arguments by which a file learns of labels and preprocessing."""
        return {"preprocessing": self.preprocessing, "classes": list(self.classes)}

    def float32(self) -> dict[str, Any]:
        """``described()``, and the bound of what computes in float32."""
        return {**self.described(), "tolerance": self.tolerance}


def _saved_model(source: Source, path: Path) -> ExportReport:
    return to_saved_model(source.model, path, source.samples, **source.float32())


def _tflite(source: Source, path: Path, **options: Any) -> ExportReport:
    options |= {**source.float32(), "min_snr_db": source.min_snr_db}
    return to_tflite(source.model, path, source.samples, **options)


def _integer(source: Source, path: Path, **options: Any) -> ExportReport:
    return _tflite(source, path, representative=source.representative, **options)


def _onnx(source: Source, path: Path) -> ExportReport:
    return to_onnx(source.model, path, source.samples, **source.float32())


def _web(source: Source, path: Path) -> ExportReport:
    return to_web(source.model, path, source.samples, **source.described())


PACKAGES = {"onnx": ("tf2onnx", "onnxruntime")}

# The file or folder of each format, and what writes it.
FORMATS: dict[str, tuple[str, Callable[[Source, Path], ExportReport]]] = {
    "saved_model": ("saved_model", _saved_model),
    "float32": ("model.tflite", _tflite),
    "float16": ("model_float16.tflite", partial(_tflite, format="float16")),
    "dynamic": ("model_dynamic.tflite", partial(_tflite, format="dynamic")),
    "int8": ("model_int8.tflite", partial(_integer, format="int8")),
    "int8_io": ("model_int8_io.tflite", partial(_integer, format="int8", integer_io=True)),
    "int8_float_modules": (
        "model_int8_float_modules.tflite",
        partial(_integer, format="int8", float_modules=True),
    ),
    "int16x8": ("model_int16x8.tflite", partial(_integer, format="int16x8")),
    "onnx": ("model.onnx", _onnx),
    "web": ("web", _web),
}


def export_formats(
    source: Any,
    folder: str | os.PathLike,
    formats: Iterable[str] | None = None,
    on_report: Callable[[ExportReport], None] = lambda report: None,
    table: Mapping[str, tuple[str, Callable[[Any, Path], ExportReport]]] = FORMATS,
) -> dict[str, str]:
    """Export to every one of ``formats``; one that fails does not keep the others from it.

    Args:
        source: what is exported: a ``Source``, or what the functions in ``table`` take.
        folder: for the files, one a format, and ``report.json`` and ``report.md`` on all of them.
        formats: keys of ``table``; None for all.
        on_report: called with the report on each file that was written.
        table: the file of each format and what writes it.

    Returns:
        For each format that failed, why; no such file was written.

    Raises:
        ValueError: ``formats`` has an unknown name; nothing was written.
        ImportError: a package that a format needs is not installed; nothing was written.
    """
    names = check_formats(table if formats is None else formats, table)
    failures = {}
    for name in names:
        file, export = table[name]
        try:
            on_report(export(source, Path(folder) / file))
        except ExportError as error:
            failures[name] = str(error)
        except Exception as error:  # Whatever it is, the other formats are not concerned.
            failures[name] = f"{file} was not written: {reason(error)}"
    return failures


def check_formats(formats: Iterable[str], table: Iterable[str] = FORMATS) -> list[str]:
    """Return ``formats``, each one of ``table``, whose packages are installed.

    Raises:
        ValueError: a name is unknown.
        ImportError: a package that a format needs is not installed.
    """
    names = [one_of("formats", name, table) for name in formats]
    for name in names:
        for package in PACKAGES.get(name, ()):
            require(package)
    return names


def available_formats(model: keras.Model) -> list[str]:
    """The formats that fit ``model`` and whose packages are installed."""
    modules = any(isinstance(layer, Recalibration) for layer in model.layers)
    return [
        name
        for name in FORMATS
        if all(importlib.util.find_spec(package) for package in PACKAGES.get(name, ()))
        and (modules or name != "int8_float_modules")
    ]


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


def _stylizer_saved_model(source: StylizerSource, path: Path) -> ExportReport:
    options: dict[str, Any] = {"tolerance": source.tolerance, "image_output": True}
    return to_saved_model(source.model, path, source.samples, **options)


def _stylizer_tflite(source: StylizerSource, path: Path, format: str = "float32") -> ExportReport:
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


def _stylizer_web(source: StylizerSource, path: Path) -> ExportReport:
    side = source.samples.shape[1]
    return stylizer_to_web(source.model, path, source.samples, side, source.tolerance)


# The file or folder of each format, and what writes it.
STYLIZER_FORMATS: dict[str, tuple[str, Callable[[StylizerSource, Path], ExportReport]]] = {
    "saved_model": ("saved_model", _stylizer_saved_model),
    "float32": ("model.tflite", _stylizer_tflite),
    "float16": ("model_float16.tflite", partial(_stylizer_tflite, format="float16")),
    "web": ("web", _stylizer_web),
}
