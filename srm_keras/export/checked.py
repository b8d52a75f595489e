"""The way of every export: check the arguments, fold, write, compare, and only then publish."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np

from srm_keras.export import report
from srm_keras.export.deploy import deploy, in_float32
from srm_keras.export.folding import folding_plan
from srm_keras.export.foreign import first_line
from srm_keras.export.latency import latencies
from srm_keras.export.parity import Bound, Parity, compare
from srm_keras.export.runners import Runner, keras_runner
from srm_keras.files import replace, size_in_bytes, temporary_sibling
from srm_keras.validation import boolean

TOLERANCE = 1e-5


class ExportError(RuntimeError):
    """An exported file that does not compute what the Keras model computes; it was deleted."""


@dataclass(frozen=True)
class Format:
    """One kind of exported file.

    Attributes:
        name: for reports.
        write: writes a network to a path.
        load: makes the file at a path runnable.
        bound: what its outputs are held to.
        details: what a report says of this kind of file, JSON values by name.
        logits: makes the logits of the file at a path readable, where its outputs are too coarse
            to compute them from; returns None where they are not.
    """

    name: str
    write: Callable[[keras.Model, Path], Any]
    load: Callable[[Path], Runner]
    bound: Bound = field(default=Bound(max_error=TOLERANCE))
    details: Callable[[Path], dict[str, Any]] = lambda path: {}
    logits: Callable[[Path], Runner | None] = lambda path: None


def export(
    model: keras.Model,
    path: Path,
    samples: np.ndarray,
    file_format: Format,
    fold: bool,
) -> report.ExportReport:
    """Write ``model`` to ``path`` if what was written computes the same, and report on it.

    With ``fold`` what is written is ``deploy(model)``, else ``model`` as it is. What it is compared
    with is ``model`` computing in float32, as every exported file does.
    """
    check_bound(file_format.bound)
    check_model(model)
    samples = check_samples(samples, model)
    report.read_reports(path.parent)
    kept = folding_plan(model).kept if boolean("fold", fold) else {}
    reference = in_float32(model)
    network = deploy(model) if fold else reference
    with temporary_sibling(path) as temporary:
        file_format.write(network, temporary)
        runners = {"keras": keras_runner(reference)}
        try:
            runners["file"] = file_format.load(temporary)
            logits = file_format.logits(temporary)
            parity = compare(runners["keras"], runners["file"], samples, logits)
        except RuntimeError as error:
            raise ExportError(
                f"{path.name} was not written: it cannot be run ({first_line(error)})."
            ) from error
        check_parity(parity, file_format.bound, path)
        latency = latencies(runners, samples[:1])
        details = file_format.details(temporary)
        replace(temporary, path)
    result = report.ExportReport(
        file=path.name,
        format=file_format.name,
        model=model.name,
        input_shape=tuple(model.input_shape),
        output_shape=tuple(model.output_shape),
        size_bytes=size_in_bytes(path),
        parameters=network.count_params(),
        keras_parameters=model.count_params(),
        folded=fold,
        batch_norm_kept=kept,
        parity=parity,
        bound=file_format.bound,
        details=details,
        latency_ms=latency,
        environment=report.environment(),
    )
    report.write_report(result, path.parent)
    return result


def check_parity(parity: Parity, bound: Bound, path: Path) -> None:
    """Raise ``ExportError`` where the outputs differ by more than the bound."""
    if parity.within(bound):
        return
    tolerance = bound.max_error
    if tolerance is not None and not parity.within(Bound(max_error=tolerance)):
        raise ExportError(
            f"{path.name} was not written: its outputs differ from the Keras model's by up to "
            f"{parity.max_error:.3g} on {parity.samples} samples, more than the "
            f"{parity.allowed_error(tolerance):.3g} that tolerance={tolerance:g} allows."
        )
    raise ExportError(
        f"{path.name} was not written: its logits have a signal-to-noise ratio of "
        f"{parity.snr_db:.1f} dB on {parity.samples} samples, less than "
        f"min_snr_db={bound.min_snr_db:g}."
    )


def check_bound(bound: Bound) -> None:
    """Raise ``ValueError`` unless the limits are numbers, the tolerance at least 0."""
    if bound.max_error is not None and not (_is_number(bound.max_error) and bound.max_error >= 0):
        raise ValueError(
            f"`tolerance` must be a number of at least 0. Received: tolerance={bound.max_error!r}"
        )
    if bound.min_snr_db is not None and not _is_number(bound.min_snr_db):
        raise ValueError(
            f"`min_snr_db` must be a number. Received: min_snr_db={bound.min_snr_db!r}"
        )


def _is_number(value: Any) -> bool:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and not math.isnan(value)


def check_model(model: keras.Model) -> None:
    """Raise ``ValueError`` unless this is a TensorFlow model with one input and one output."""
    if keras.config.backend() != "tensorflow":
        raise ValueError(
            "Export needs the TensorFlow backend of Keras (KERAS_BACKEND=tensorflow). "
            f"Received: {keras.config.backend()!r}"
        )
    if not isinstance(model, keras.Model) or not getattr(model, "inputs", None):
        raise ValueError(
            "`model` must be a keras.Model with known inputs, functional or a built Sequential. "
            f"Received: model={model!r}"
        )
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        raise ValueError(
            "`model` must have one input and one output. "
            f"Received: {model.name!r} with {len(model.inputs)} and {len(model.outputs)}"
        )


def check_samples(samples: np.ndarray, model: keras.Model, name: str = "samples") -> np.ndarray:
    """Return ``samples`` in the dtype of the model's input, or raise ``ValueError``."""
    expected = (None, *model.inputs[0].shape[1:])
    samples = np.asarray(samples)
    fits = samples.ndim == len(expected) and all(
        side in (None, actual) for side, actual in zip(expected, samples.shape, strict=True)
    )
    if samples.dtype.kind != "f" or not fits or not len(samples):
        raise ValueError(
            f"`{name}` must be a non-empty floating array of shape {expected}, prepared as for "
            f"training. Received: {samples.dtype} of shape {samples.shape}"
        )
    if not np.isfinite(samples).all():
        raise ValueError(f"`{name}` must be finite. Received: an array with NaN or infinity")
    return samples.astype(model.inputs[0].dtype)
