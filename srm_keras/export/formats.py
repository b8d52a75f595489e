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
from srm_keras.export.onnx import onnx_format
from srm_keras.export.pipeline import Exportable, ExportError, Format, export, reason
from srm_keras.export.report import ExportReport
from srm_keras.export.serving.saved_model import saved_model_format
from srm_keras.export.tflite.conversion import INTEGERS, Conversion
from srm_keras.export.tflite.exporter import tflite_format
from srm_keras.export.web.exporter import stylizer_web_format, web_format
from srm_keras.layers import Recalibration
from srm_keras.support.foreign import require
from srm_keras.support.validation import one_of


@dataclass(frozen=True)
class Source:
    """A classifier to be exported.

    Attributes:
        model: A functional classifier with one input.
        samples: Real images, prepared as for training, on which every file is compared.
        representative: Images like them, of the training split, from which the integer formats
            take the range of every tensor.
        preprocessing: How images are prepared.
        classes: A name for each output.
        tolerance: What the formats that compute in float32 are held to; None for their default.
        min_snr_db: What the others are held to, in dB; None for the bound of each format.
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


@dataclass(frozen=True)
class StylizerSource:
    """A stylization network to be exported.

    Attributes:
        model: From RGB images of 0 to 255 to such images, of any size.
        samples: Real images, float (N, side, side, 3), on which every file is compared.
        fixed: Whether TFLite files are for images of the samples' size alone.
        tolerance: What the formats that compute in float32 are held to; None for their default.
        min_snr_db: What the others are held to, in dB; None for the bound of each format.
    """

    model: keras.Model
    samples: np.ndarray
    fixed: bool = False
    tolerance: float | None = None
    min_snr_db: float | None = None


def _tflite(
    source: Source, network: Exportable, format: str, float_modules: bool = False, **options: Any
) -> Format:
    if format in INTEGERS:
        options["representative"] = source.representative
    return tflite_format(
        network,
        Conversion(format, **options),
        float_modules,
        tolerance=source.tolerance,
        min_snr_db=source.min_snr_db,
        **source.described(),
    )


def _stylizer_tflite(source: StylizerSource, network: Exportable, format: str) -> Format:
    return tflite_format(
        network,
        Conversion(format, batch_size=1 if source.fixed else None),
        input_shape=source.samples.shape[1:] if source.fixed else None,
        tolerance=source.tolerance,
        min_snr_db=source.min_snr_db,
    )


Makers = Mapping[type, Callable[[Any, Exportable], Format]]


@dataclass(frozen=True)
class Entry:
    """One format.

    Attributes:
        file: The name of its file or folder.
        makers: What is written there, for each kind of source that it fits.
        packages: That it needs.
        needs_modules: Whether only networks with recalibration layers have it.
    """

    file: str
    makers: Makers
    packages: tuple[str, ...] = ()
    needs_modules: bool = False


def _of_both(format: str) -> Makers:
    return {
        Source: partial(_tflite, format=format),
        StylizerSource: partial(_stylizer_tflite, format=format),
    }


def _of_classifiers(format: str, **options: Any) -> Makers:
    return {Source: partial(_tflite, format=format, **options)}


FORMATS = {
    "saved_model": Entry(
        "saved_model",
        {
            Source: lambda of, net: saved_model_format(net, of.tolerance, **of.described()),
            StylizerSource: lambda of, net: saved_model_format(
                net, of.tolerance, image_output=True
            ),
        },
    ),
    "float32": Entry("model.tflite", _of_both("float32")),
    "float16": Entry("model_float16.tflite", _of_both("float16")),
    "dynamic": Entry("model_dynamic.tflite", _of_classifiers("dynamic")),
    "int8": Entry("model_int8.tflite", _of_classifiers("int8")),
    "int8_io": Entry("model_int8_io.tflite", _of_classifiers("int8", integer_io=True)),
    "int8_float_modules": Entry(
        "model_int8_float_modules.tflite",
        _of_classifiers("int8", float_modules=True),
        needs_modules=True,
    ),
    "int16x8": Entry("model_int16x8.tflite", _of_classifiers("int16x8")),
    "onnx": Entry(
        "model.onnx",
        {Source: lambda of, net: onnx_format(net, of.tolerance, **of.described())},
        packages=("tf2onnx", "onnxruntime"),
    ),
    "web": Entry(
        "web",
        {
            Source: lambda of, net: web_format(net, **of.described()),
            StylizerSource: lambda of, net: stylizer_web_format(
                net, of.samples.shape[1], of.tolerance
            ),
        },
    ),
}


def export_formats(
    source: Source | StylizerSource,
    folder: str | os.PathLike,
    formats: Iterable[str] | None = None,
    on_report: Callable[[ExportReport], None] = lambda report: None,
) -> dict[str, str]:
    """Export to every one of ``formats``; one that fails does not keep the others from it.

    Args:
        source: What is exported. It is folded and run once for all formats.
        folder: For the files, one a format, and ``report.json`` and ``report.md`` on all of them.
        formats: Keys of ``FORMATS`` that fit this kind of network; None for all.
        on_report: Called with the report on each file that was written.

    Returns:
        For each format that failed, why; no such file was written.

    Raises:
        ValueError: ``formats`` has an unknown name, or the model is none that can be exported or
            reads no such samples; nothing was written.
        ImportError: A package that a format needs is not installed; nothing was written.
    """
    names = check_formats(formats, type(source))
    network = Exportable(source.model, source.samples)
    failures = {}
    for name in names:
        entry = FORMATS[name]
        try:
            made = entry.makers[type(source)](source, network)
            on_report(export(network, Path(folder) / entry.file, made))
        except ExportError as error:
            failures[name] = str(error)
        except Exception as error:  # Whatever it is, the other formats are not concerned.
            failures[name] = f"{entry.file} was not written: {reason(error)}"
    return failures


def check_formats(formats: Iterable[str] | None, kind: type) -> list[str]:
    """Return ``formats``, each one that fits this kind of source, whose packages are installed.

    Raises:
        ValueError: A name is unknown.
        ImportError: A package that a format needs is not installed.
    """
    fitting = [name for name, entry in FORMATS.items() if kind in entry.makers]
    names = fitting if formats is None else [one_of("formats", one, fitting) for one in formats]
    for name in names:
        for package in FORMATS[name].packages:
            require(package)
    return names


def available_formats(source: Source | StylizerSource) -> list[str]:
    """The formats that fit the network and whose packages are installed."""
    modules = any(isinstance(layer, Recalibration) for layer in source.model.layers)
    return [
        name
        for name, entry in FORMATS.items()
        if type(source) in entry.makers
        and all(importlib.util.find_spec(package) for package in entry.packages)
        and (modules or not entry.needs_modules)
    ]
