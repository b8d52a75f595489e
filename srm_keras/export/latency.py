"""How long one image takes."""

import statistics
import time
from collections.abc import Mapping

import numpy as np

from srm_keras.export.runners import Runner

WARM_UP = 3
REPETITIONS = 20


def median_latencies(runners: Mapping[str, Runner], batch: np.ndarray) -> dict[str, float]:
    """Return the median time of one call on ``batch`` in milliseconds, for each runner.

    The runners take turns, so that whatever else the machine does meets all of them alike.
    """
    for runner in runners.values():
        for _ in range(WARM_UP):
            runner(batch)
    times: dict[str, list[float]] = {name: [] for name in runners}
    for _ in range(REPETITIONS):
        for name, runner in runners.items():
            start = time.perf_counter()
            runner(batch)
            times[name].append(1000 * (time.perf_counter() - start))
    return {name: statistics.median(values) for name, values in times.items()}
