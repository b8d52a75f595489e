"""The way of every export: check the arguments, fold, write, compare, and only then publish."""

import contextlib
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np

from srm_keras.export import report
from srm_keras.export.bounds import TOLERANCE, Bound, Kind, exact_bound, lossy_bound, output_kind
from srm_keras.export.deploy import computes_otherwise, deploy, in_float32
from srm_keras.export.folding import folding_plan
from srm_keras.export.parity import Parity, outputs, parity
from srm_keras.export.report import latencies
from srm_keras.export.runners import Runner, keras_runner, one_tensor
from srm_keras.support.files import replace, size_in_bytes, temporary_sibling
from srm_keras.support.foreign import first_line, quiet
from srm_keras.support.timing import Spread, environment
from srm_keras.support.validation import boolean

# What a copy in float32 is held to by a network that computes in another dtype: dB, or a difference
# of the dtype's own rounding. docs/export.md says what was measured.
OWN_SNR_DB = {"float64": 80.0, "float16": 25.0, "bfloat16": 7.0}
OWN_STEP = {"float64": TOLERANCE, "float16": 2.0**-10, "bfloat16": 2.0**-7}


class ExportError(RuntimeError):
    """An exported file that does not compute what the Keras model computes; it was deleted."""


@dataclass(frozen=True)
class Format:
    """One kind of exported file.

    Attributes:
        name: for reports.
        write: writes a network to a path.
        load: makes the file at a path runnable.
        bound: what its outputs are held to, as far as it applies to their kind.
        details: what a report says of this kind of file, JSON values by name.
        logits: makes the logits of the file at a path readable, where its outputs are too coarse
            to compute them from; returns None where they are not.
        named: whether each output is the score of a class that has a name.
        batch_size: of the file.
    """

    name: str
    write: Callable[[keras.Model, Path], Any]
    load: Callable[[Path], Runner]
    bound: Bound = field(default=exact_bound(None))
    details: Callable[[Path], dict[str, Any]] = lambda path: {}
    logits: Callable[[Path], Runner | None] = lambda path: None
    named: bool = False
    batch_size: int = 1


def export(
    model: keras.Model,
    path: Path,
    samples: np.ndarray,
    file_format: Format,
    fold: bool,
    original: keras.Model | None = None,
) -> report.ExportReport:
    """Write ``model`` to ``path`` if what was written computes the same, and report on it.

    With ``fold`` what is written is ``deploy(model)``, else ``model`` as it is, in float32.

    What it is compared with is the user's own network, no copy of it: ``original`` where ``model``
    was made for the file, else ``model``. Where that computes in another dtype than float32 the
    file is compared with a copy of it in float32, and the copy with the network itself, by the
    looser bound of that dtype (``OWN_SNR_DB``).
    """
    own = model if original is None else original
    check_model(model)
    samples = check_samples(samples, model)
    report.read_reports(path.parent)
    kept = folding_plan(model).kept if boolean("fold", fold) else {}
    reference = in_float32(own)
    network = one_tensor(deploy(model) if fold else in_float32(model))
    runner = _casting(keras_runner(reference), reference.inputs[0].dtype)
    expected = outputs(runner, samples)
    kind = output_kind(model, samples, expected, file_format.named)
    bound = file_format.bound.of(kind)
    check_variation(expected, kind, bound)
    precision = {} if reference is own else _own_precision(own, samples, expected, kind, path)
    with _publishing(path) as temporary:
        with quiet():
            file_format.write(network, temporary)
        with _running(path), quiet():
            run, logits = _loaded(file_format, temporary, network.inputs[0].dtype)
            found = None if logits is None else outputs(logits, samples)
            compared = parity(expected, outputs(run, samples), len(samples), found, kind)
        check_parity(compared, bound, path)
        latency = _latency({"keras": runner, "file": run}, samples, file_format.batch_size)
        details = {**file_format.details(temporary), **precision}
    result = report.ExportReport(
        file=path.name,
        format=file_format.name,
        model=model.name,
        input_shape=tuple(model.inputs[0].shape),
        output_shape=tuple(model.outputs[0].shape),
        size_bytes=size_in_bytes(path),
        parameters=network.count_params(),
        keras_parameters=model.count_params(),
        folded=fold,
        batch_norm_kept=kept,
        parity=compared,
        bound=bound,
        details=details,
        latency_ms=latency,
        environment=environment(),
    )
    _write_report(result, path)
    return result


@contextlib.contextmanager
def _publishing(path: Path) -> Iterator[Path]:
    """Yield a temporary path, and rename it to ``path`` at the end; ``ExportError`` if not."""
    try:
        with temporary_sibling(path) as temporary:
            yield temporary
            replace(temporary, path)
    except ExportError:
        raise
    except Exception as error:  # Of Keras, TensorFlow, the converters and the disk.
        raise ExportError(f"{path.name} was not written: {reason(error)}") from error


@contextlib.contextmanager
def _running(path: Path) -> Iterator[None]:
    """Raise ``ExportError`` in place of whatever a runtime raises."""
    try:
        yield
    except Exception as error:
        raise ExportError(
            f"{path.name} was not written: it cannot be run ({reason(error)})."
        ) from error


def _loaded(file_format: Format, path: Path, dtype: str) -> tuple[Runner, Runner | None]:
    """What gives the outputs of a file, and what gives its logits, of inputs of any dtype."""
    logits = file_format.logits(path)
    return _casting(file_format.load(path), dtype), logits and _casting(logits, dtype)


def _casting(runner: Runner, dtype: str) -> Runner:
    return lambda samples: runner(samples.astype(dtype, copy=False))


def _own_precision(
    own: keras.Model, samples: np.ndarray, expected: np.ndarray, kind: Kind, path: Path
) -> dict[str, Any]:
    """Compare ``expected``, of a copy in float32, with the network itself; for the report.

    Raises:
        ExportError: they differ by more than the rounding of the network's dtype.
    """
    dtype = min(computes_otherwise(own), key=lambda name: OWN_SNR_DB[name])
    limit, step = OWN_SNR_DB[dtype], Bound(max_error=OWN_STEP[dtype])
    found = parity(outputs(keras_runner(own), samples), expected, len(samples), kind=kind)
    # Outputs of fresh networks hardly differ, and rounding is all that there is in them.
    if not found.within(step) and not found.within(lossy_bound(limit).of(kind)):
        raise ExportError(
            f"{path.name} was not written: computed in float32 the outputs differ from the Keras "
            f"model's own, in {dtype}, by up to {found.max_error:.3g} on {found.samples} samples: "
            f"a signal-to-noise ratio of {found.snr_db:.1f} dB, where {limit:g} dB are due."
        )
    return {"own_precision": {"dtype": dtype, "min_snr_db": limit, **asdict(found)}}


def _latency(
    runners: Mapping[str, Runner], samples: np.ndarray, batch_size: int
) -> dict[str, Spread]:
    """Times of one sample, in batches of which the file was made."""
    batch = np.resize(samples, (batch_size, *samples.shape[1:]))
    return {name: time / batch_size for name, time in latencies(runners, batch).items()}


def _write_report(result: report.ExportReport, path: Path) -> None:
    try:
        report.write_report(result, path.parent)
    except OSError as error:
        raise ExportError(
            f"{path.name} was written, the report on it was not: {reason(error)}"
        ) from error


def reason(error: Exception) -> str:
    """Why something failed, in one line."""
    return (isinstance(error, OSError) and error.strerror) or first_line(error)


def check_parity(parity: Parity, bound: Bound, path: Path) -> None:
    """Raise ``ExportError`` where the outputs differ by more than the bound."""
    for name, share in parity.used(bound).items():
        if not share <= 1:
            why = _failure(parity, name, getattr(bound, name))
            raise ExportError(f"{path.name} was not written: {why}.")


def _failure(parity: Parity, name: str, limit: float) -> str:
    """What is wrong where this limit of a bound is broken."""
    samples, what = parity.samples, "logits" if parity.kind.centred else "outputs"
    if name == "max_error":
        return (
            f"its outputs differ from the Keras model's by up to {parity.max_error:.3g} on "
            f"{samples} samples, more than the {parity.allowed_error(limit):.3g} that "
            f"tolerance={limit:g} allows"
        )
    if name == "max_grey_levels":
        return (
            f"its pictures differ from the Keras model's by up to {parity.max_error:.3g} grey "
            f"levels of 255 on {samples} samples, more than {limit:g}"
        )
    if name == "min_snr_db":
        return (
            f"its {what} have a signal-to-noise ratio of {parity.snr_db:.1f} dB on {samples} "
            f"samples, less than min_snr_db={limit:g}"
        )
    if name == "min_worst_db":
        return (
            f"its {what} have a signal-to-noise ratio of {parity.worst_db:.1f} dB on the worst of "
            f"{samples} samples, less than the {limit:g} dB that one sample may have"
        )
    return (
        f"its largest score is another one on {parity.changed_answers} of {samples} samples, more "
        f"than the {parity.allowed_changes(limit)} that a top-1 agreement of "
        f"{100 * limit:.1f} % allows"
    )


def check_variation(expected: np.ndarray, kind: Kind, bound: Bound) -> None:
    """Raise ``ValueError`` where there is no signal that a ratio could be taken of."""
    if bound.min_snr_db in (None, -math.inf) or kind.centred or expected.ndim > 2:
        return
    if np.ptp(expected, axis=0).max() == 0:
        raise ValueError(
            "`samples` must be at least two for which the outputs of the model differ: this format "
            "is held to how much less its errors are. "
            f"Received: {len(expected)} with equal outputs"
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


def check_samples(samples: np.ndarray, model: keras.Model, name: str = "samples") -> np.ndarray:
    """Return ``samples`` in the dtype of the model's input, or raise ``ValueError``.

    They must be floating for a model that reads floats, and else integers that its dtype holds.
    """
    (source,) = model.inputs
    expected = (None, *source.shape[1:])
    samples = np.asarray(samples)
    fits = samples.ndim == len(expected) and all(
        side in (None, actual) for side, actual in zip(expected, samples.shape, strict=True)
    )
    if not fits or not len(samples) or not _is_held(samples, source.dtype):
        kind = f"array of {source.dtype}" if "int" in source.dtype else "floating array"
        raise ValueError(
            f"`{name}` must be a non-empty {kind} of shape {expected}, prepared as for "
            f"training. Received: {samples.dtype} of shape {samples.shape}"
        )
    if not np.isfinite(samples).all():
        raise ValueError(f"`{name}` must be finite. Received: an array with NaN or infinity")
    return samples.astype(source.dtype)


def _is_held(samples: np.ndarray, dtype: str) -> bool:
    """Whether a model that reads ``dtype`` reads ``samples`` as they are."""
    if "int" not in dtype:
        return samples.dtype.kind == "f"
    limits = np.iinfo(dtype)
    return samples.dtype.kind in "iu" and bool(
        samples.min() >= limits.min and samples.max() <= limits.max
    )
