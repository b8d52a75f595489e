"""How far an exported file is from the Keras model it was made of."""

import math
from dataclasses import dataclass

import numpy as np

from srm_keras.export.bounds import ORDINARY, Bound, Kind, amplitude, sum_to_one
from srm_keras.export.runners import Runner

BATCH_SIZE = 32
EXACT_DB = 300.0


@dataclass(frozen=True)
class Parity:
    """Differences between two runners over the same samples.

    Attributes:
        samples: How many samples were compared.
        max_error: Largest absolute difference between two outputs.
        mean_error: Mean absolute difference.
        max_output: Largest absolute output of the reference.
        top1_agreement: Share of samples with the same largest output, in [0, 1]; None where the
            output is not one vector of scores a sample.
        snr_db: signal-to-noise ratio, ``10 log₁₀ Σ signal² / Σ error²``; at most 300. What the
            signal is depends on ``kind``, see ``signal_and_error``.
        rms_error: Root of the mean squared difference.
        kind: What the outputs are.
        worst_db: The smallest ratio of one sample, whose signal is its own or, if that is larger,
            the mean one; None where it was not measured.
    """

    samples: int
    max_error: float
    mean_error: float
    max_output: float
    top1_agreement: float | None
    snr_db: float
    rms_error: float
    kind: Kind = Kind.VALUES
    worst_db: float | None = None

    def allowed_error(self, tolerance: float) -> float:
        """The largest ``max_error`` allowed: ``tolerance · max(1, max_output)``.

        So ``tolerance`` is absolute for probabilities and relative for large logits or features.
        Where all outputs are below 1/100 it is ``tolerance · 100 · max_output``.
        """
        return tolerance * max(min(1.0, self.max_output / ORDINARY), self.max_output)

    def used(self, bound: Bound) -> dict[str, float]:
        """Share of each limit of ``bound`` that is used up; above 1 or NaN where it is broken."""
        shares = {}
        if bound.max_error is not None:
            shares["max_error"] = _share(self.max_error, self.allowed_error(bound.max_error))
        if bound.max_grey_levels is not None:
            shares["max_grey_levels"] = _share(self.max_error, bound.max_grey_levels)
        if bound.min_snr_db is not None:
            shares["min_snr_db"] = amplitude(bound.min_snr_db - self.snr_db)
        if bound.min_worst_db is not None:
            worst = math.nan if self.worst_db is None else self.worst_db
            shares["min_worst_db"] = amplitude(bound.min_worst_db - worst)
        if bound.min_top1_agreement is not None and self.top1_agreement is not None:
            allowed = self.allowed_changes(bound.min_top1_agreement)
            shares["min_top1_agreement"] = _share(self.changed_answers, allowed)
        return shares

    def within(self, bound: Bound) -> bool:
        """Whether every limit of ``bound`` is kept; never for NaN."""
        return not self.failures(bound)

    def failures(self, bound: Bound) -> list[str]:
        """What is wrong, for each limit of ``bound`` that is broken."""
        broken = [name for name, share in self.used(bound).items() if not share <= 1]
        return [self._failure(name, getattr(bound, name)) for name in broken]

    def _failure(self, name: str, limit: float) -> str:
        what = "logits" if self.kind.centred else "outputs"
        if name == "max_error":
            return (
                f"its outputs differ from the Keras model's by up to {self.max_error:.3g} on "
                f"{self.samples} samples, more than the {self.allowed_error(limit):.3g} that "
                f"tolerance={limit:g} allows"
            )
        if name == "max_grey_levels":
            return (
                f"its pictures differ from the Keras model's by up to {self.max_error:.3g} grey "
                f"levels of 255 on {self.samples} samples, more than {limit:g}"
            )
        if name == "min_snr_db":
            return (
                f"its {what} have a signal-to-noise ratio of {self.snr_db:.1f} dB on "
                f"{self.samples} samples, less than min_snr_db={limit:g}"
            )
        if name == "min_worst_db":
            return (
                f"its {what} have a signal-to-noise ratio of {self.worst_db:.1f} dB on the worst "
                f"of {self.samples} samples, less than the {limit:g} dB that one sample may have"
            )
        return (
            f"its largest score is another one on {self.changed_answers} of {self.samples} "
            f"samples, more than the {self.allowed_changes(limit)} that a top-1 agreement of "
            f"{100 * limit:.1f} % allows"
        )

    @property
    def changed_answers(self) -> int:
        """How many samples have another largest output."""
        agreement = 1.0 if self.top1_agreement is None else self.top1_agreement
        return round((1 - agreement) * self.samples)

    def allowed_changes(self, min_top1_agreement: float) -> int:
        """How many samples may have another largest output: the share of all, rounded up."""
        return math.ceil(round((1 - min_top1_agreement) * self.samples, 6))


def compare(
    reference: Runner,
    candidate: Runner,
    samples: np.ndarray,
    candidate_logits: Runner | None = None,
    kind: Kind | None = None,
) -> Parity:
    """Run both on ``samples`` in batches, the last of which may be smaller, and compare.

    Args:
        reference: Gives what is right.
        candidate: Gives what is compared with it.
        samples: Inputs of both.
        candidate_logits: Gives the candidate's logits where its outputs are probabilities too
            coarse to compute them from.
        kind: Of the outputs; None: probabilities if those of the reference sum to 1, else values.

    Raises:
        ValueError: The outputs have different shapes.
    """
    expected = outputs(reference, samples)
    logits = None if candidate_logits is None else outputs(candidate_logits, samples)
    return parity(expected, outputs(candidate, samples), len(samples), logits, kind)


def parity(
    expected: np.ndarray,
    actual: np.ndarray,
    samples: int,
    logits: np.ndarray | None = None,
    kind: Kind | None = None,
) -> Parity:
    """The differences between outputs of the same shape.

    Args:
        expected: What is right, float64.
        actual: What is compared with it, float64.
        samples: How many inputs they are the outputs for.
        logits: Of ``actual``, where they cannot be computed from it.
        kind: See ``compare``.

    Raises:
        ValueError: The outputs have different shapes.
    """
    if expected.shape != actual.shape:
        raise ValueError(
            f"The outputs must have the same shape. Received: {expected.shape} and {actual.shape}"
        )
    kind = kind or (Kind.PROBABILITIES if sum_to_one(expected) else Kind.VALUES)
    errors = np.abs(expected - actual)
    signal, noise = signal_and_error(expected, actual, kind, logits)
    return Parity(
        samples=samples,
        max_error=float(errors.max()),
        mean_error=float(errors.mean()),
        max_output=float(np.abs(expected).max()),
        top1_agreement=_top1_agreement(expected, actual),
        snr_db=_ratio_db(float((signal**2).sum()), float((noise**2).sum())),
        rms_error=float(np.sqrt(np.mean(errors**2))),
        kind=kind,
        worst_db=_worst_db(signal, noise),
    )


def signal_and_error(
    expected: np.ndarray, actual: np.ndarray, kind: Kind, logits: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """What a ratio compares: the signal, and how far the candidate is from it.

    What goes through a softmax does not depend on a constant added to all logits, so both are
    logits less the mean of their sample; of probabilities, their logarithms. Everything else is
    taken as it is, and its signal is what varies: the outputs less their mean over samples, of maps
    less the mean of their channel over samples and positions. A constant added to all of them is
    an error.

    Args:
        expected: What is right.
        actual: What is compared with it; if it should be probabilities and is none, both are taken
            as they are.
        kind: Of the outputs.
        logits: Of ``actual``, where they cannot be computed from it.
    """
    measured = logits is not None or kind is not Kind.PROBABILITIES or sum_to_one(actual)
    if kind.centred and measured:
        signal = centred_logits(expected)
        return signal, signal - centred_logits(actual if logits is None else logits)
    axes = 0 if expected.ndim < 3 else tuple(range(expected.ndim - 1))
    return expected - expected.mean(axis=axes, keepdims=True), expected - actual


def signal_to_noise_db(expected: np.ndarray, actual: np.ndarray) -> float:
    """``10 log₁₀ Σ expected² / Σ (expected − actual)²``; 300 where nothing differs."""
    return _ratio_db(float((expected**2).sum()), float(((expected - actual) ** 2).sum()))


def _ratio_db(signal: float, noise: float) -> float:
    """``10 log₁₀ signal / noise`` of two powers; 300 without noise, else -300 without signal."""
    if noise == 0:
        return EXACT_DB
    if not (signal > 0 and math.isfinite(signal) and math.isfinite(noise)):
        return -EXACT_DB
    return min(10 * math.log10(signal / noise), EXACT_DB)


def centred_logits(scores: np.ndarray) -> np.ndarray:
    """Logits less their mean along the last axis, of vectors that are probabilities or logits.

    A softmax does not depend on a constant added to all logits, so the logarithms of its outputs,
    less their mean, are the logits less their mean.
    """
    if sum_to_one(scores):
        scores = np.log(np.maximum(scores, np.finfo("float32").tiny))
    return scores - scores.mean(axis=-1, keepdims=True)


def outputs(runner: Runner, samples: np.ndarray) -> np.ndarray:
    """Outputs of ``runner`` for all samples, float64, computed in batches."""
    starts = range(0, len(samples), BATCH_SIZE)
    return np.concatenate(
        [runner(samples[start : start + BATCH_SIZE]).astype("float64") for start in starts]
    )


def _worst_db(signal: np.ndarray, noise: np.ndarray) -> float:
    signals, noises = (np.square(x).reshape(len(x), -1).sum(axis=1) for x in (signal, noise))
    least = np.maximum(signals, signals.mean())
    return min(_ratio_db(float(s), float(n)) for s, n in zip(least, noises, strict=True))


def _top1_agreement(expected: np.ndarray, actual: np.ndarray) -> float | None:
    if expected.ndim != 2 or expected.shape[1] < 2:
        return None
    return float(np.mean(expected.argmax(axis=1) == actual.argmax(axis=1)))


def _share(value: float, limit: float) -> float:
    if value == 0:
        return 0.0
    return value / limit if limit else math.inf
