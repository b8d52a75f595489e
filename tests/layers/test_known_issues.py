"""Defects of Keras that users of this package can meet; each test passes once Keras is mended."""

import keras
import numpy as np
import pytest
from keras import ops

from srm_keras.layers import GatherExcite
from tests.support.reference import reference_gates
from tests.support.weights import (
    feature_map,
    randomize,
    to_channels_last,
    to_format,
    weights_by_path,
)

RELEASE = tuple(int(number) for number in keras.__version__.split(".")[:2])


@pytest.mark.xfail(
    keras.config.backend() == "tensorflow" and RELEASE < (3, 16),
    reason="Keras 3.15 on TensorFlow adds a channels_first bias along the width if W == C",
    strict=True,
)
def test_channels_first_bias_where_width_equals_filters():
    conv = keras.layers.Conv2D(3, 1, data_format="channels_first", bias_initializer="ones")
    x = np.zeros((1, 2, 5, 3), "float32")
    conv.build(x.shape)
    conv.bias.assign(np.array([1.0, 2.0, 3.0]))
    y = ops.convert_to_numpy(conv(x))
    np.testing.assert_array_equal(y[0, :, 0, 0], [1.0, 2.0, 3.0])


@pytest.mark.parametrize(
    ("width", "params"), [(24, "theta"), (6, "theta_plus"), (24, "theta_plus")]
)
def test_gather_excite_is_right_there(width, params):
    """Gathered widths of 12 = channels and 3 = reduced channels, where the bias would go astray."""
    spec = {"extent": 2, "params": params, "reduction": 4}
    x = feature_map((2, 8, width, 12))
    layer = GatherExcite(**spec, data_format="channels_first", name="module")
    layer.build(to_format(x, "channels_first").shape)
    randomize(layer)
    y = to_channels_last(layer(to_format(x, "channels_first")), "channels_first")
    expected = x * reference_gates({"name": "ge", **spec}, x, weights_by_path(layer))
    np.testing.assert_allclose(y, expected, rtol=2e-5, atol=2e-6)


@pytest.mark.xfail(
    reason="Keras 3.15 finds the number of the cycle by a logarithm in float32",
    strict=keras.config.backend() == "tensorflow",
)
def test_restarts_of_a_cosine_come_in_time():
    """Cycle 13 of cycles that double begins at update 2^13 - 1, where `WarmRestarts` begins it."""
    schedule = keras.optimizers.schedules.CosineDecayRestarts(0.1, 1, t_mul=2.0)
    assert float(schedule(2**13 - 1)) == pytest.approx(0.1)
