import time

import numpy as np

from srm_keras.export.latency import REPETITIONS, WARM_UP, median_latencies


def test_runners_take_turns_and_the_median_ignores_outliers():
    calls = []

    def slow(batch):
        calls.append("slow")
        time.sleep(0.2 if len(calls) == 2 * WARM_UP + 1 else 0.004)

    def fast(batch):
        calls.append("fast")

    latencies = median_latencies({"slow": slow, "fast": fast}, np.zeros(1))

    assert calls[2 * WARM_UP :] == ["slow", "fast"] * REPETITIONS
    assert 4 <= latencies["slow"] < 100
    assert latencies["fast"] < 1
