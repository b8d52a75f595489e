"""Instance normalization against its formula in float64 and against PyTorch's."""

import keras
import numpy as np
import pytest
from keras import ops

from srm_keras.layers.instance_norm import InstanceNormalization
from tests.support.gradients import layer_gradients
from tests.support.weights import feature_map, randomize, to_channels_last, to_format

SHAPE = (3, 9, 7, 5)
FORMATS = ("channels_last", "channels_first")


def built(shape=SHAPE, data_format="channels_last", **options) -> InstanceNormalization:
    layer = InstanceNormalization(data_format=data_format, **options)
    layer.build(to_format(np.empty(shape), data_format).shape)
    randomize(layer)
    return layer


def gradients(layer, x: np.ndarray, upstream: np.ndarray):
    """``layer_gradients`` by way of a model, which takes ``training``."""
    image = keras.Input(batch_shape=x.shape)
    return layer_gradients(keras.Model(image, layer(image)), x, upstream, training=True)


def formula(layer, x: np.ndarray) -> np.ndarray:
    gamma, beta = (np.asarray(ops.convert_to_numpy(w), "float64") for w in layer.weights)
    x = x.astype("float64")
    std = np.sqrt(x.var((1, 2), keepdims=True) + layer.epsilon)
    return (x - x.mean((1, 2), keepdims=True)) / std * gamma + beta


@pytest.mark.parametrize("data_format", FORMATS)
@pytest.mark.parametrize("training", [True, False])
def test_output_equals_the_formula(data_format, training):
    layer = built(data_format=data_format)
    x = feature_map(SHAPE)
    y = to_channels_last(layer(to_format(x, data_format), training=training), data_format)
    np.testing.assert_allclose(y, formula(layer, x), atol=3e-6)


@pytest.mark.parametrize(("mean", "bound"), [(100, 5e-5), (1000, 5e-4)])
def test_a_mean_that_outweighs_the_deviation_does_not_cancel(mean, bound):
    x = (mean + np.random.default_rng(0).normal(size=(2, 32, 32, 4))).astype("float32")
    layer = built(x.shape)
    np.testing.assert_allclose(ops.convert_to_numpy(layer(x)), formula(layer, x), atol=bound)


def test_gradients_equal_those_of_torch():
    torch = pytest.importorskip("torch")
    layer, x = built(), feature_map(SHAPE)
    upstream = np.random.default_rng(3).normal(size=SHAPE).astype("float32")
    y, dx, dw = gradients(layer, x, upstream)

    theirs = torch.nn.InstanceNorm2d(SHAPE[-1], affine=True).double()
    with torch.no_grad():
        for target, source in zip((theirs.weight, theirs.bias), layer.weights, strict=True):
            target.copy_(torch.tensor(ops.convert_to_numpy(source)))
    maps = torch.tensor(x).double().permute(0, 3, 1, 2).requires_grad_()
    expected = theirs(maps)
    expected.backward(torch.tensor(upstream).double().permute(0, 3, 1, 2))
    np.testing.assert_allclose(y, expected.detach().permute(0, 2, 3, 1), atol=3e-6)
    np.testing.assert_allclose(dx, maps.grad.permute(0, 2, 3, 1), atol=1e-5)
    for ours, weight in zip(dw, (theirs.weight, theirs.bias), strict=True):
        np.testing.assert_allclose(ours, weight.grad, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("shape", [(2, 6, 4, 3), (2, 1, 1, 3)])
def test_a_constant_channel_is_its_offset_and_has_finite_gradients(shape):
    layer = built(shape)
    x, upstream = np.full(shape, 7.0, "float32"), np.ones(shape, "float32")
    y, dx, dw = gradients(layer, x, upstream)
    np.testing.assert_allclose(y, np.broadcast_to(layer.get_weights()[1], shape), atol=1e-6)
    assert all(np.all(np.isfinite(gradient)) for gradient in (dx, *dw))


@pytest.mark.parametrize(("policy", "bound"), [("mixed_float16", 3e-3), ("mixed_bfloat16", 3e-2)])
def test_statistics_of_half_precision_do_not_overflow(policy, bound):
    layer = built(dtype=policy)
    dtype = policy.removeprefix("mixed_")
    x = ops.cast(300 * feature_map(SHAPE), dtype)
    y = layer(x)
    assert keras.backend.standardize_dtype(y.dtype) == dtype
    assert {weight.dtype for weight in layer.weights} == {"float32"}
    expected = formula(layer, ops.convert_to_numpy(ops.cast(x, "float32")))
    np.testing.assert_allclose(ops.convert_to_numpy(ops.cast(y, "float32")), expected, atol=bound)


def test_it_is_rebuilt_from_its_configuration():
    layer = InstanceNormalization(1e-3, "channels_first", name="norm")
    config = keras.saving.serialize_keras_object(layer)
    assert keras.saving.deserialize_keras_object(config).get_config() == layer.get_config()


def test_bad_arguments():
    with pytest.raises(ValueError, match="`epsilon` must be a positive number"):
        InstanceNormalization(epsilon=0.0)
    with pytest.raises(ValueError, match="static number of channels"):
        InstanceNormalization().build((None, 8, 8, None))
