"""How far an exported file is from the Keras model it was made of."""

from dataclasses import dataclass

import numpy as np

from srm_keras.export.runners import Runner

BATCH_SIZE = 32


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
    """

    samples: int
    max_error: float
    mean_error: float
    max_output: float
    top1_agreement: float | None

    def bound(self, tolerance: float) -> float:
        """The largest ``max_error`` allowed: ``tolerance · max(1, max_output)``.

        So ``tolerance`` is absolute for probabilities and relative for large logits or features.
        """
        return tolerance * max(1.0, self.max_output)

    def within(self, tolerance: float) -> bool:
        """Whether ``max_error`` is at most ``bound(tolerance)``; never for NaN."""
        return self.max_error <= self.bound(tolerance)


def compare(reference: Runner, candidate: Runner, samples: np.ndarray) -> Parity:
    """Run both on ``samples`` in batches, the last of which may be smaller, and compare."""
    expected = _outputs(reference, samples)
    actual = _outputs(candidate, samples)
    if expected.shape != actual.shape:
        raise ValueError(
            f"The outputs must have the same shape. Received: {expected.shape} and {actual.shape}"
        )
    errors = np.abs(expected - actual)
    return Parity(
        samples=len(samples),
        max_error=float(errors.max()),
        mean_error=float(errors.mean()),
        max_output=float(np.abs(expected).max()),
        top1_agreement=_top1_agreement(expected, actual),
    )


def _outputs(runner: Runner, samples: np.ndarray) -> np.ndarray:
    starts = range(0, len(samples), BATCH_SIZE)
    return np.concatenate(
        [runner(samples[start : start + BATCH_SIZE]).astype("float64") for start in starts]
    )


def _top1_agreement(expected: np.ndarray, actual: np.ndarray) -> float | None:
    if expected.ndim != 2 or expected.shape[1] < 2:
        return None
    return float(np.mean(expected.argmax(axis=1) == actual.argmax(axis=1)))
