import keras
import numpy as np
import pytest

from srm_keras.export.deploy_forms import global_mean
from srm_keras.export.runners import TFLiteRunner
from srm_keras.export.tflite.conversion import Conversion


@pytest.mark.parametrize("sides", [(256, 256), (None, None)])
def test_litert_averages_many_pixels_to_a_few_roundings(sides, tmp_path):
    """One long sum of these is off by 1e-3 (pooling layer in place of the function: fails)."""
    x = np.random.default_rng(0).uniform(0, 255, (1, 256, 256, 3)).astype("float32")
    inputs = keras.Input((*sides, 3), name="image")
    model = keras.Model(inputs, global_mean(inputs, "mean"))
    file = tmp_path / "mean.tflite"
    file.write_bytes(Conversion("float32", False, 1, None).convert(model))
    expected = x.astype("float64").mean(axis=(1, 2), keepdims=True)
    np.testing.assert_allclose(TFLiteRunner(file)(x), expected, rtol=1e-6)


def test_small_maps_take_one_pooling_layer():
    x = keras.Input((56, 56, 4))
    model = keras.Model(x, global_mean(x, "pool"))
    assert isinstance(model.get_layer("pool"), keras.layers.GlobalAveragePooling2D)
