"""How long one image takes."""

import time
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from srm_keras.export.runners import Runner

WARM_UP = 3
REPETITIONS = 20


@dataclass(frozen=True)
class Latency:
    """Times of one call in milliseconds.

    Attributes:
        median: of all repetitions.
        lower: the lower quartile.
        upper: the upper quartile.
    """

    median: float
    lower: float
    upper: float

    def __truediv__(self, calls: int) -> "Latency":
        """The times of one of so many things that were done in one call."""
        return Latency(self.median / calls, self.lower / calls, self.upper / calls)


def latencies(
    runners: Mapping[str, Runner], batch: np.ndarray, repetitions: int = REPETITIONS
) -> dict[str, Latency]:
    """Return the time of one call on ``batch`` for each runner.

    The runners take turns, so that whatever else the machine does meets all of them alike.
    """
    for runner in runners.values():
        for _ in range(WARM_UP):
            runner(batch)
    times: dict[str, list[float]] = {name: [] for name in runners}
    for _ in range(repetitions):
        for name, runner in runners.items():
            start = time.perf_counter()
            runner(batch)
            times[name].append(1000 * (time.perf_counter() - start))
    return {name: _latency(values) for name, values in times.items()}


def _latency(times: list[float]) -> Latency:
    lower, median, upper = np.quantile(times, [0.25, 0.5, 0.75])
    return Latency(float(median), float(lower), float(upper))
