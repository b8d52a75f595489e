"""Padding to whole multiples against NumPy's symmetric padding."""

import keras
import numpy as np
import pytest
from keras import ops

from srm_keras.layers.reflection import PadToMultiple

SIZES = [(8, 12, 8, 12), (9, 13, 12, 16), (1, 3, 8, 8), (4, 20, 8, 20)]


@pytest.mark.parametrize(("height", "width", "padded_height", "padded_width"), SIZES)
@pytest.mark.parametrize("free", [True, False])
def test_mirrors_to_the_next_multiple(height, width, padded_height, padded_width, free):
    x = np.random.default_rng(0).normal(size=(2, height, width, 3)).astype("float32")
    expected = np.pad(
        x, [(0, 0), (0, padded_height - height), (0, padded_width - width), (0, 0)], "symmetric"
    )
    inputs = keras.Input((None, None, 3) if free else (height, width, 3))
    model = keras.Model(inputs, PadToMultiple(4, 8)(inputs))
    assert model.output.shape == ((None, None, None, 3) if free else (None, *expected.shape[1:]))
    np.testing.assert_array_equal(ops.convert_to_numpy(model(x)), expected)


def test_config_round_trip():
    layer = PadToMultiple(4)
    assert layer.get_config()["minimum"] == 4
    assert PadToMultiple.from_config(layer.get_config()).get_config() == layer.get_config()


def test_wrong_arguments_are_refused():
    with pytest.raises(ValueError, match="`multiple` must be a positive integer"):
        PadToMultiple(0)
    with pytest.raises(
        ValueError, match=r"`minimum` must be a multiple of 4\. Received: minimum=6"
    ):
        PadToMultiple(4, 6)
