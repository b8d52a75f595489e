"""Two replicas in one process against one device, on the same global batches.

In float64, where the two may differ by rounding alone; docs/distribution.md says why float32
drifts, and how far.
"""

import numpy as np
import pytest

from tests.training.distribution import runs

ROUNDING = 1e-12  # 1e-16, times what four steps of this network amplify: see docs/distribution.md


def assert_same(ours, theirs, tolerance=ROUNDING):
    """Weights and numbers agree; metrics, which Keras keeps in float32, to 1e-6."""
    assert ours.keys() >= theirs.keys()
    for name, value in theirs.items():
        if name == "calls":
            assert list(ours[name]) == list(value)
        else:
            bound = tolerance if name.startswith("weight") else 1e-6
            np.testing.assert_allclose(ours[name], value, rtol=0, atol=bound, err_msg=name)


@pytest.mark.parametrize("optimizer", ["sgd", "clip"])
def test_two_replicas_equal_one_device(optimizer, float64):
    *one, _ = runs.run(runs.recipe(strategy="one_device"), optimizer)
    *two, distribution = runs.run(runs.recipe(strategy="mirrored"), optimizer)
    assert (distribution.name, distribution.replicas) == ("mirrored", 2)
    assert_same(runs.outcome(*two), runs.outcome(*one))
