"""When two trainings are the same.

In float64, where they may differ by rounding alone; docs/distribution.md says why float32 drifts,
and how far.
"""

import numpy as np

ROUNDING = 1e-12  # docs/distribution.md: up to 2e-14 after eight updates of a ResNet


def assert_same(ours, theirs, tolerance=ROUNDING):
    """All weights, all logs of all callbacks, and the order of the callbacks."""
    for name, value in theirs.items():
        if name == "calls":
            assert list(ours[name]) == list(value)
        elif name.startswith(("weight", "epoch", "batch", "evaluation")):
            np.testing.assert_allclose(ours[name], value, rtol=0, atol=tolerance, err_msg=name)
