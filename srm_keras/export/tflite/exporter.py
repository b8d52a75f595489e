"""TFLite, the format of LiteRT on phones, small machines and in browsers."""

import os
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import keras
import numpy as np

from srm_keras.data import Preprocessing
from srm_keras.export.bounds import Bound, exact_bound, lossy_bound
from srm_keras.export.deploy import Deployed
from srm_keras.export.pipeline import Exportable, Format, check_file_path, check_samples, export
from srm_keras.export.report import ExportReport
from srm_keras.export.runners import TFLiteRunner
from srm_keras.export.serving.signatures import check_classes, check_preprocessing
from srm_keras.export.tflite.conversion import (
    Conversion,
    PartlyInteger,
    check_float,
    recalibration_parts,
)
from srm_keras.export.tflite.graph import tflite_details, tflite_logits
from srm_keras.export.tflite.metadata import add_metadata
from srm_keras.layers import Recalibration
from srm_keras.models.flatten import flatten
from srm_keras.support.validation import boolean

# The smallest signal-to-noise ratio that a format passes for good with, in dB.
MIN_SNR_DB = {"float16": 40.0, "dynamic": 25.0, "int8": 20.0, "int16x8": 25.0}
# What pictures are held to instead, in grey levels: eleven bits do not hold a quarter of one.
MAX_GREY_LEVELS = {"float16": 1.0}


def to_tflite(
    model: keras.Model,
    path: str | os.PathLike,
    samples: np.ndarray,
    format: str = "float32",
    representative: np.ndarray | None = None,
    integer_io: bool = False,
    float_modules: bool = False,
    batch_size: int | None = None,
    input_shape: Sequence[int] | None = None,
    fold: bool = True,
    tolerance: float | None = None,
    min_snr_db: float | None = None,
    preprocessing: Preprocessing | None = None,
    classes: Sequence[str] | None = None,
) -> ExportReport:
    """Export ``model`` as a TFLite file that computes the same, with a report beside it.

    ========== ===================== ============================ =======================
    format     weights               activations                  held to
    ========== ===================== ============================ =======================
    float32    float32               float32                      ``tolerance``
    float16    float16               float32                      40 dB
    dynamic    int8, per channel     float32, int8 inside of      25 dB
                                     products
    int8       int8, per channel     int8                         20 dB
    int16x8    int8, per channel     int16                        25 dB
    ========== ===================== ============================ =======================

    The decibels are the signal-to-noise ratio on ``samples``: of the logits where ``model`` ends in
    a softmax, else of the outputs (``signal_and_error``). The worst sample may have 15 dB less, and
    as large a share of the answers may change as the errors are of the signal (``lossy_bound``).
    Pictures in float16 are held to one grey level instead.
    In the two integer formats every operator computes in integers; only the conversion of the float
    input and output at the ends does not, and with ``integer_io`` there is none.

    The file is published only after its outputs were compared with those of ``model``. A file at
    ``path`` is replaced then, and left alone where the export fails.

    Args:
        model: A functional model with one input and one output; not changed.
        path: The file to write, ``….tflite``. ``report.json`` and ``report.md`` beside it hold the
            reports on all exports to the same place.
        samples: Real inputs, prepared as for training: floating, of the input's shape.
        format: One of the above.
        representative: Inputs like ``samples``, at best of the training split and a hundred or
            more, from which the integer formats take the range of every tensor; by default
            ``samples``.
        integer_io: Whether an integer format also takes and returns integers, int8 or int16, whose
            scale and zero point the file names.
        float_modules: Whether the recalibration modules of an int8 file compute in float32, which
            is more exact, but not for hardware that has integers alone.
        batch_size: A fixed one; None for any (``resize_tensor_input``). LiteRT.js needs 1.
        input_shape: A fixed height and width, and the channels, of images whose size ``model``
            leaves free; None for what ``model`` reads (``resize_tensor_input``).
        fold: Whether to write the deploy form of ``model`` (``srm_keras.export.deploy``).
        tolerance: Of float32, largest difference from the outputs of ``model``: absolute for
            outputs up to 1, relative to the largest output beyond; None: 10⁻⁵, or of pictures
            (``Kind.PICTURES``) a quarter of a grey level.
        min_snr_db: What the other formats are held to instead of the above, in dB.
        preprocessing: How images are made into inputs; goes into the file as metadata.
        classes: Names of the classes; go into the file as metadata (``labels.txt``).

    Raises:
        ValueError: An argument is not one of the above; nothing was written.
        ExportError: The converter has no such form of an operator, or the outputs differ by more
            than the bound; nothing was written.
    """
    source = Exportable(model, samples)
    conversion = Conversion(format, integer_io, batch_size, representative)
    file_format = tflite_format(
        source,
        conversion,
        float_modules=boolean("float_modules", float_modules),
        input_shape=input_shape,
        fold=fold,
        tolerance=tolerance,
        min_snr_db=min_snr_db,
        preprocessing=preprocessing,
        classes=classes,
    )
    return export(source, Path(path), file_format, fold)


def tflite_format(
    source: Exportable,
    conversion: Conversion,
    float_modules: bool = False,
    input_shape: Sequence[int] | None = None,
    fold: bool = True,
    tolerance: float | None = None,
    min_snr_db: float | None = None,
    preprocessing: Preprocessing | None = None,
    classes: Sequence[str] | None = None,
) -> Format:
    """What ``to_tflite`` writes; see there."""
    check_float(source.model)
    check_preprocessing(preprocessing, source.model)
    check_classes(classes, source.model)
    model = source.reading(input_shape)
    if conversion.integer:
        conversion = _with_representative(conversion, source, model)
    if float_modules:
        _check_float_modules(conversion, model, fold)

    def write(written: Deployed, file: Path) -> None:
        partly = float_modules and _partly_integer(model, written, conversion)
        file.write_bytes(partly or conversion.convert(written))
        if preprocessing is not None or classes is not None:
            add_metadata(file, preprocessing, classes, source.model.name)

    return Format(
        name=conversion.name + ", modules in float32" * float_modules,
        write=write,
        load=TFLiteRunner,
        bound=_bound(conversion.format, tolerance, min_snr_db),
        check_path=partial(check_file_path, suffix=".tflite"),
        details=lambda file: tflite_details(file, source.samples.shape[1:]),
        logits=tflite_logits,
        named=classes is not None,
        batch_size=conversion.batch_size or 1,
        input_shape=input_shape,
    )


def _with_representative(
    conversion: Conversion, source: Exportable, model: keras.Model
) -> Conversion:
    if conversion.representative is None:
        return replace(conversion, representative=check_samples(source.samples, model))
    images = check_samples(conversion.representative, model, "representative")
    return replace(conversion, representative=images)


def _check_float_modules(conversion: Conversion, model: keras.Model, fold: bool) -> None:
    """Raise ``ValueError`` where modules cannot stay in float32."""
    plain_int8 = conversion.format == "int8" and not conversion.integer_io
    if not (plain_int8 and conversion.batch_size is None and fold):
        raise ValueError(
            "`float_modules` needs the format 'int8' with float input and output, any batch and "
            f"fold=True. Received: {conversion.name}, fold={fold}"
        )
    if not any(isinstance(x, Recalibration) for x in flatten(model).layers):
        raise ValueError(
            "`float_modules` needs a model with recalibration layers. "
            f"Received: {model.name!r}, which has none"
        )


def _partly_integer(model: keras.Model, written: Deployed, conversion: Conversion) -> bytes:
    assert conversion.representative is not None
    parts = recalibration_parts(flatten(model), written.network)
    converter = PartlyInteger(written, parts, conversion.representative)
    return converter.file(set(parts.values()))


def _bound(format: str, tolerance: float | None, min_snr_db: float | None) -> Bound:
    if format == "float32":
        return exact_bound(tolerance)
    if min_snr_db is None:
        return lossy_bound(MIN_SNR_DB[format], MAX_GREY_LEVELS.get(format))
    return lossy_bound(min_snr_db)
