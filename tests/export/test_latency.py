import time

import numpy as np

from srm_keras.export.report import REPETITIONS, WARM_UP, latencies


def test_runners_take_turns_and_the_median_ignores_outliers():
    calls = []

    def slow(batch):
        calls.append("slow")
        time.sleep(0.2 if calls.count("slow") == WARM_UP + 1 else 0.004)

    def fast(batch):
        calls.append("fast")

    times = latencies({"slow": slow, "fast": fast}, np.zeros(1))

    rounds = [set(calls[k : k + 2]) for k in range(0, len(calls), 2)]
    assert rounds == [{"slow", "fast"}] * (WARM_UP + REPETITIONS)
    slow_time = times["slow"]
    assert 4 <= slow_time.lower <= slow_time.median <= slow_time.upper < 100
    assert times["fast"].median < 1
