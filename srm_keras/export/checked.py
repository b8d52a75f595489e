"""The way of every export: check the arguments, fold, write, compare, and only then publish."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from srm_keras.export import report
from srm_keras.export.folding import fold, folding_plan
from srm_keras.export.latency import median_latencies
from srm_keras.export.parity import Parity, compare
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
    """

    name: str
    write: Callable[[keras.Model, Path], Any]
    load: Callable[[Path], Runner]


def export(
    model: keras.Model,
    path: Path,
    samples: np.ndarray,
    file_format: Format,
    folded: bool,
    tolerance: float,
) -> report.ExportReport:
    """Write ``model`` to ``path`` if what was written computes the same, and report on it."""
    check_tolerance(tolerance)
    check_model(model)
    samples = check_samples(samples, model)
    report.read_reports(path.parent)
    kept = folding_plan(model).kept if boolean("fold", folded) else {}
    network = fold(model) if folded else model
    with temporary_sibling(path) as temporary:
        file_format.write(network, temporary)
        runners = {"keras": keras_runner(model), "file": file_format.load(temporary)}
        parity = compare(runners["keras"], runners["file"], samples)
        check_parity(parity, tolerance, path)
        latency = median_latencies(runners, samples[:1])
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
        folded=folded,
        batch_norm_kept=kept,
        parity=parity,
        tolerance=tolerance,
        latency_ms=latency,
        environment=report.environment(),
    )
    report.write_report(result, path.parent)
    return result


def check_parity(parity: Parity, tolerance: float, path: Path) -> None:
    """Raise ``ExportError`` where the outputs differ by more than the bound."""
    if not parity.within(tolerance):
        raise ExportError(
            f"{path.name} was not written: its outputs differ from the Keras model's by up to "
            f"{parity.max_error:.3g} on {parity.samples} samples, more than the "
            f"{parity.bound(tolerance):.3g} that tolerance={tolerance:g} allows."
        )


def check_tolerance(tolerance: float) -> None:
    """Raise ``ValueError`` unless ``tolerance`` is a number of at least 0."""
    number = isinstance(tolerance, int | float) and not isinstance(tolerance, bool)
    if not number or not tolerance >= 0:
        raise ValueError(
            f"`tolerance` must be a number of at least 0. Received: tolerance={tolerance!r}"
        )


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


def check_samples(samples: np.ndarray, model: keras.Model) -> np.ndarray:
    """Return ``samples`` in the dtype of the model's input, or raise ``ValueError``."""
    expected = (None, *model.inputs[0].shape[1:])
    samples = np.asarray(samples)
    fits = samples.ndim == len(expected) and all(
        side in (None, actual) for side, actual in zip(expected, samples.shape, strict=True)
    )
    if samples.dtype.kind != "f" or not fits or not len(samples):
        raise ValueError(
            f"`samples` must be a non-empty floating array of shape {expected}, prepared as for "
            f"training. Received: {samples.dtype} of shape {samples.shape}"
        )
    if not np.isfinite(samples).all():
        raise ValueError("`samples` must be finite. Received: an array with NaN or infinity")
    return samples.astype(model.inputs[0].dtype)
