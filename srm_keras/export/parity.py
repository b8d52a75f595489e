"""How far an exported file is from the Keras model it was made of."""

import math
from dataclasses import dataclass

import numpy as np

from srm_keras.export.runners import Runner

BATCH_SIZE = 32
EXACT_DB = 300.0


@dataclass(frozen=True)
class Bound:
    """What an exported file is held to; a limit that is None is not checked.

    Attributes:
        max_error: largest difference of an output, see ``Parity.allowed_error``.
        min_snr_db: smallest signal-to-noise ratio of the logits in dB.
    """

    max_error: float | None = None
    min_snr_db: float | None = None


@dataclass(frozen=True)
class Parity:
    """Differences between two runners over the same samples.

    Attributes:
        samples: how many samples were compared.
        max_error: largest absolute difference between two outputs.
        mean_error: mean absolute difference.
        max_output: largest absolute output of the reference.
        top1_agreement: share of samples with the same largest output, in [0, 1]; None where the
            output is not one vector of scores a sample.
        snr_db: signal-to-noise ratio of the logits, ``10 log₁₀ Σ logit² / Σ error²``, each sample's
            logits less their mean; at most 300. See ``centred_logits``.
        rms_error: root of the mean squared difference.
    """

    samples: int
    max_error: float
    mean_error: float
    max_output: float
    top1_agreement: float | None
    snr_db: float
    rms_error: float

    def allowed_error(self, tolerance: float) -> float:
        """The largest ``max_error`` allowed: ``tolerance · max(1, max_output)``.

        So ``tolerance`` is absolute for probabilities and relative for large logits or features.
        """
        return tolerance * max(1.0, self.max_output)

    def within(self, bound: Bound) -> bool:
        """Whether every limit of ``bound`` is kept; never for NaN."""
        exact = bound.max_error is None or self.max_error <= self.allowed_error(bound.max_error)
        return exact and (bound.min_snr_db is None or self.snr_db >= bound.min_snr_db)


def compare(
    reference: Runner,
    candidate: Runner,
    samples: np.ndarray,
    candidate_logits: Runner | None = None,
) -> Parity:
    """Run both on ``samples`` in batches, the last of which may be smaller, and compare.

    Args:
        reference: gives what is right.
        candidate: gives what is compared with it.
        samples: inputs of both.
        candidate_logits: gives the candidate's logits where its outputs are probabilities too
            coarse to compute them from.

    Raises:
        ValueError: the outputs have different shapes.
    """
    expected = outputs(reference, samples)
    actual = outputs(candidate, samples)
    if expected.shape != actual.shape:
        raise ValueError(
            f"The outputs must have the same shape. Received: {expected.shape} and {actual.shape}"
        )
    logits = actual if candidate_logits is None else outputs(candidate_logits, samples)
    return parity(expected, actual, len(samples), logits)


def parity(
    expected: np.ndarray, actual: np.ndarray, samples: int, logits: np.ndarray | None = None
) -> Parity:
    """The differences between outputs of the same shape.

    Args:
        expected: what is right, float64.
        actual: what is compared with it, float64.
        samples: how many inputs they are the outputs for.
        logits: of ``actual``, where they cannot be computed from it.
    """
    errors = np.abs(expected - actual)
    scores = actual if logits is None else logits
    return Parity(
        samples=samples,
        max_error=float(errors.max()),
        mean_error=float(errors.mean()),
        max_output=float(np.abs(expected).max()),
        top1_agreement=_top1_agreement(expected, actual),
        snr_db=signal_to_noise_db(centred_logits(expected), centred_logits(scores)),
        rms_error=float(np.sqrt(np.mean(errors**2))),
    )


def signal_to_noise_db(expected: np.ndarray, actual: np.ndarray) -> float:
    """``10 log₁₀ Σ expected² / Σ (expected − actual)²``; 300 where nothing differs."""
    signal, noise = float((expected**2).sum()), float(((expected - actual) ** 2).sum())
    if noise == 0:
        return EXACT_DB
    if not (signal > 0 and math.isfinite(signal) and math.isfinite(noise)):
        return -EXACT_DB
    return min(10 * math.log10(signal / noise), EXACT_DB)


def centred_logits(scores: np.ndarray) -> np.ndarray:
    """Logits less their mean, of vectors that are probabilities or logits; maps as they are.

    A softmax does not depend on a constant added to all logits, so the logarithms of its outputs,
    less their mean, are the logits less their mean.
    """
    if scores.ndim != 2:
        return scores
    if scores.min() >= 0 and np.allclose(scores.sum(axis=1), 1.0, atol=1e-2):
        scores = np.log(np.maximum(scores, np.finfo("float32").tiny))
    return scores - scores.mean(axis=1, keepdims=True)


def outputs(runner: Runner, samples: np.ndarray) -> np.ndarray:
    """Outputs of ``runner`` for all samples, float64, computed in batches."""
    starts = range(0, len(samples), BATCH_SIZE)
    return np.concatenate(
        [runner(samples[start : start + BATCH_SIZE]).astype("float64") for start in starts]
    )


def _top1_agreement(expected: np.ndarray, actual: np.ndarray) -> float | None:
    if expected.ndim != 2 or expected.shape[1] < 2:
        return None
    return float(np.mean(expected.argmax(axis=1) == actual.argmax(axis=1)))
