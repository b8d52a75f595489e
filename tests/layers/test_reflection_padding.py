"""Reflection padding against ``numpy.pad``."""

import keras
import numpy as np
import pytest
from keras import ops

from srm_keras.layers.reflection import ReflectionPadding2D
from tests.support.gradients import function_gradient
from tests.support.weights import feature_map, to_channels_last, to_format

FORMATS = ("channels_last", "channels_first")


def padded(x: np.ndarray, padding: int) -> np.ndarray:
    return np.pad(x, ((0, 0), (padding, padding), (padding, padding), (0, 0)), mode="reflect")


@pytest.mark.parametrize("data_format", FORMATS)
@pytest.mark.parametrize(("padding", "size"), [(1, (2, 7)), (4, (5, 6))])
def test_it_is_numpys_reflection(padding, size, data_format):
    x = feature_map((2, *size, 3))
    layer = ReflectionPadding2D(padding, data_format)
    y = to_channels_last(layer(to_format(x, data_format)), data_format)
    np.testing.assert_array_equal(y, padded(x, padding))


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_is_copied_bit_by_bit(dtype):
    x = ops.cast(feature_map((1, 6, 5, 2)), dtype)
    y = ReflectionPadding2D(2, dtype=dtype)(x)
    assert keras.backend.standardize_dtype(y.dtype) == dtype
    expected = padded(ops.convert_to_numpy(ops.cast(x, "float32")), 2)
    np.testing.assert_array_equal(ops.convert_to_numpy(ops.cast(y, "float32")), expected)


def test_the_gradient_is_the_adjoint():
    layer = ReflectionPadding2D(3)
    x, other = feature_map((2, 5, 4, 2)), feature_map((2, 5, 4, 2), seed=1)
    upstream = feature_map((2, 11, 10, 2), seed=2)
    dx = function_gradient(layer, x, upstream)
    np.testing.assert_allclose((dx * other).sum(), (upstream * padded(other, 3)).sum(), rtol=1e-4)


def test_sizes_may_be_unknown():
    image = keras.Input((None, 8, 3))
    model = keras.Model(image, ReflectionPadding2D(2)(image))
    assert model.output_shape == (None, None, 12, 3)
    x = feature_map((1, 9, 8, 3))
    np.testing.assert_array_equal(ops.convert_to_numpy(model(x)), padded(x, 2))


def test_it_is_rebuilt_from_its_configuration():
    layer = ReflectionPadding2D(3, "channels_first", name="pad")
    config = keras.saving.serialize_keras_object(layer)
    assert keras.saving.deserialize_keras_object(config).get_config() == layer.get_config()


@pytest.mark.parametrize("padding", [0, -1, 1.0, True])
def test_a_padding_that_is_none(padding):
    with pytest.raises(ValueError, match="`padding` must be a positive integer"):
        ReflectionPadding2D(padding)


@pytest.mark.parametrize("shape", [(1, 3, 9, 1), (1, 9, 2, 1)])
def test_a_side_that_is_too_short_to_be_reflected(shape):
    with pytest.raises(ValueError, match="`padding` must be smaller than height and width"):
        ReflectionPadding2D(3)(np.zeros(shape, "float32"))
    with pytest.raises(ValueError, match="Received: padding=3"):
        ReflectionPadding2D(3)(keras.Input(shape[1:]))
