"""The way of every export: fold and compute the reference once; write, compare, then publish."""

import contextlib
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import keras
import numpy as np

from srm_keras.export import report
from srm_keras.export.bounds import TOLERANCE, Bound, Kind, exact_bound, lossy_bound, output_kind
from srm_keras.export.deploy import (
    Deployed,
    check_input_shape,
    computes_otherwise,
    deployed,
    in_float32,
    with_input_shape,
)
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
        name: For reports.
        write: Writes a network to a path.
        load: Makes the file at a path runnable.
        bound: What its outputs are held to, as far as it applies to their kind.
        check_path: Raises ``ValueError`` where no such file may be written or replaced.
        details: What a report says of this kind of file, JSON values by name.
        signatures: Of the file at a path, called by a name in errors: how near what else it can do
            is; raises ``ExportError`` where that is too far.
        logits: Makes the logits of the file at a path readable, where its outputs are too coarse
            to compute them from; returns None where they are not.
        named: Whether each output is the score of a class that has a name.
        batch_size: Of the file.
        input_shape: What it reads, of a network that leaves that free; None for what that reads.
    """

    name: str
    write: Callable[[Deployed, Path], Any]
    load: Callable[[Path], Runner]
    bound: Bound = field(default=exact_bound(None))
    check_path: Callable[[Path], Any] = lambda path: None
    details: Callable[[Path], dict[str, Any]] = lambda path: {}
    signatures: Callable[[Path, str], dict[str, Parity]] = lambda path, name: {}
    logits: Callable[[Path], Runner | None] = lambda path: None
    named: bool = False
    batch_size: int = 1
    input_shape: Sequence[int] | None = None


class Exportable:
    """A network to be exported, and what its files have in common, each made once when needed.

    What files are compared with is the network itself. Where that computes in another dtype than
    float32 they are compared with a copy of it in float32, and the copy with the network, by the
    looser bound of that dtype (``OWN_SNR_DB``).

    Args:
        model: The user's own network, with one input and one output; not changed.
        samples: Real inputs, prepared as for training.

    Raises:
        ValueError: ``model`` is none that can be exported, or reads no such ``samples``.
    """

    def __init__(self, model: keras.Model, samples: np.ndarray):
        check_model(model)
        self.model, self.samples = model, check_samples(samples, model)
        self._readers: dict[tuple[int, ...], keras.Model] = {}
        self._deployed: dict[tuple[bool, keras.Model], Deployed] = {}

    @cached_property
    def reference(self) -> keras.Model:
        """The network in float32: itself where it computes so, else a copy."""
        return in_float32(self.model)

    @cached_property
    def run(self) -> Runner:
        """The reference as a function of samples of any dtype."""
        return _casting(keras_runner(self.reference), self.reference.inputs[0].dtype)

    @cached_property
    def expected(self) -> np.ndarray:
        """The outputs of the reference, float64."""
        return outputs(self.run, self.samples)

    def reading(self, input_shape: Sequence[int] | None) -> keras.Model:
        """The reference for images of one size; of any where that is None."""
        if input_shape is None:
            return self.reference
        shape = check_input_shape(input_shape, self.model)
        if shape not in self._readers:
            self._readers[shape] = with_input_shape(self.reference, shape)
        return self._readers[shape]

    def deployed(self, fold: bool = True, input_shape: Sequence[int] | None = None) -> Deployed:
        """What is written: the deploy form, or without ``fold`` the reference as it is."""
        model = self.reading(input_shape)
        if (fold, model) not in self._deployed:
            self._deployed[fold, model] = deployed(model) if fold else Deployed(one_tensor(model))
        return self._deployed[fold, model]

    @cached_property
    def _own_outputs(self) -> np.ndarray:
        return outputs(keras_runner(self.model), self.samples)

    def own_precision(self, kind: Kind, file: str) -> dict[str, Any]:
        """How far the reference is from the network itself; for the report, {} if they are one.

        Raises:
            ExportError: They differ by more than the rounding of the network's dtype.
        """
        if self.reference is self.model:
            return {}
        dtype = min(computes_otherwise(self.model), key=lambda name: OWN_SNR_DB[name])
        limit, step = OWN_SNR_DB[dtype], Bound(max_error=OWN_STEP[dtype])
        found = parity(self._own_outputs, self.expected, len(self.samples), kind=kind)
        # Outputs of fresh networks hardly differ, and rounding is all that there is in them.
        if not found.within(step) and not found.within(lossy_bound(limit).of(kind)):
            raise ExportError(
                f"{file} was not written: computed in float32 the outputs differ from the "
                f"Keras model's own, in {dtype}, by up to {found.max_error:.3g} on "
                f"{found.samples} samples: a signal-to-noise ratio of {found.snr_db:.1f} dB, "
                f"where {limit:g} dB are due."
            )
        return {"own_precision": {"dtype": dtype, "min_snr_db": limit, **asdict(found)}}


def export(
    source: Exportable, path: Path, file_format: Format, fold: bool = True
) -> report.ExportReport:
    """Write a network to ``path`` if what was written computes the same, and report on it.

    With ``fold`` what is written is its deploy form, else the network as it is, in float32.

    Raises:
        ValueError: An argument or the format does not fit; nothing was written.
        ExportError: The file does not compute what the network computes; nothing was written.
    """
    boolean("fold", fold)
    file_format.check_path(path)
    read_by_file = source.reading(file_format.input_shape)
    samples = check_samples(source.samples, read_by_file)
    report.read_reports(path.parent)
    written = source.deployed(fold, file_format.input_shape)
    kind = output_kind(source.model, samples, source.expected, file_format.named)
    bound = file_format.bound.of(kind)
    check_variation(source.expected, kind, bound)
    precision = source.own_precision(kind, path.name)
    with _publishing(path) as temporary:
        with quiet():
            file_format.write(written, temporary)
        with _running(path), quiet():
            run, logits = _loaded(file_format, temporary, written.network.inputs[0].dtype)
            found = None if logits is None else outputs(logits, samples)
            compared = parity(source.expected, outputs(run, samples), len(samples), found, kind)
        check_parity(compared, bound, path.name)
        latency = _latency({"keras": source.run, "file": run}, samples, file_format.batch_size)
        details = file_format.details(temporary) | precision
        signatures = file_format.signatures(temporary, path.name)
        if signatures:
            details["signatures"] = {name: asdict(one) for name, one in signatures.items()}
    result = report.ExportReport(
        file=path.name,
        format=file_format.name,
        model=source.model.name,
        input_shape=tuple(read_by_file.inputs[0].shape),
        output_shape=tuple(read_by_file.outputs[0].shape),
        size_bytes=size_in_bytes(path),
        parameters=written.network.count_params(),
        keras_parameters=source.model.count_params(),
        folded=fold,
        batch_norm_kept=written.batch_norm_kept,
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


def check_parity(parity: Parity, bound: Bound, file: str) -> None:
    """Raise ``ExportError`` where the outputs differ by more than the bound."""
    for why in parity.failures(bound):
        raise ExportError(f"{file} was not written: {why}.")


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


def check_file_path(path: Path, suffix: str) -> None:
    """Raise ``ValueError`` unless a file with this suffix may be written to ``path``."""
    if path.suffix != suffix or path.is_dir():
        raise ValueError(f"`path` must be a file *{suffix}. Received: path={str(path)!r}")


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
    return samples.astype(source.dtype, copy=False)


def _is_held(samples: np.ndarray, dtype: str) -> bool:
    """Whether a model that reads ``dtype`` reads ``samples`` as they are."""
    if "int" not in dtype:
        return samples.dtype.kind == "f"
    limits = np.iinfo(dtype)
    return samples.dtype.kind in "iu" and bool(
        samples.min() >= limits.min and samples.max() <= limits.max
    )
