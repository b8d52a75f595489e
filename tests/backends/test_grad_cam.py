"""Gradients of this backend against finite differences in NumPy."""

import numpy as np
import pytest

from srm_keras.analysis.attribution.grad_cam import METHODS, grad_cam
from tests.support.cam import classifier, images, reference_maps


@pytest.mark.parametrize("layer", ["out", "branch"])
@pytest.mark.parametrize("method", METHODS)
def test_maps_are_those_of_finite_differences(method, layer):
    model, x = classifier(), images()
    classes = [0, 1, 2, 1]
    maps = grad_cam(model, x, classes, layer, method)
    expected = reference_maps(model, x, classes, layer, method)
    assert expected.max() == 1
    np.testing.assert_allclose(maps, expected, atol=1e-4)
