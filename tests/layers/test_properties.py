"""Properties that hold for any shape, option and dtype."""

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from keras import ops

from srm_keras.layers import SRM, StylePooling, recalibration
from tests.support.reference import reference_gates
from tests.support.specs import SPECS
from tests.support.weights import feature_map, randomize, weights_by_path

pytestmark = pytest.mark.skipif(
    keras.config.backend() != "tensorflow", reason="many shapes: minutes of compilation elsewhere"
)

shapes = st.tuples(st.integers(1, 4), st.integers(1, 11), st.integers(1, 11), st.integers(1, 24))
poolings = st.permutations(["avg", "std", "max"]).flatmap(
    lambda names: st.integers(1, 3).map(lambda count: tuple(names[:count]))
)


@given(spec=st.sampled_from(SPECS), shape=shapes, seed=st.integers(0, 2**16))
def test_any_module_on_any_shape_equals_the_reference(spec, shape, seed):
    layer = recalibration(spec, name="module", data_format="channels_last")
    layer.build(shape)
    randomize(layer, seed)
    x = feature_map(shape, seed)
    expected = layer.gain * x * reference_gates(spec, x, weights_by_path(layer))
    y = ops.convert_to_numpy(layer(x, training=False))
    np.testing.assert_allclose(y, expected, rtol=1e-4, atol=1e-5)


@given(
    shape=shapes,
    pooling=poolings,
    unbiased=st.booleans(),
    dtype=st.sampled_from(["float16", "bfloat16", "float32", "float64"]),
)
def test_style_pooling_is_finite_and_has_its_shape(shape, pooling, unbiased, dtype):
    layer = StylePooling(pooling, unbiased=unbiased, data_format="channels_last", dtype=dtype)
    t = layer(ops.cast(100.0 * feature_map(shape), dtype))
    assert tuple(t.shape) == (shape[0], shape[3], len(pooling))
    assert tuple(t.shape) == layer.compute_output_shape(shape)
    assert np.all(np.isfinite(ops.convert_to_numpy(t)))
    if "std" in pooling:
        assert ops.convert_to_numpy(t)[..., pooling.index("std")].min() > 0.0


@given(shape=shapes, order=st.randoms(use_true_random=False))
def test_srm_does_not_mix_channels_or_see_positions(shape, order):
    """Permuting pixels permutes the output; permuting channels with their weights does too."""
    layer = SRM(data_format="channels_last")
    layer.build(shape)
    randomize(layer)
    x = feature_map(shape)
    y = ops.convert_to_numpy(layer(x, training=False))

    pixels = list(range(shape[1]))
    order.shuffle(pixels)
    shuffled = ops.convert_to_numpy(layer(x[:, pixels], training=False))
    np.testing.assert_allclose(shuffled, y[:, pixels], rtol=1e-5, atol=1e-6)

    channels = list(range(shape[3]))
    order.shuffle(channels)
    layer.set_weights([weight[channels] for weight in layer.get_weights()])
    permuted = ops.convert_to_numpy(layer(x[..., channels], training=False))
    np.testing.assert_allclose(permuted, y[..., channels], rtol=1e-5, atol=1e-6)


@given(shape=shapes, scale=st.floats(0.1, 50.0), shift=st.floats(-20.0, 20.0))
def test_style_statistics_follow_an_affine_map(shape, scale, shift):
    x = feature_map(shape).astype("float64")
    pool = StylePooling(epsilon=1e-12, data_format="channels_last", dtype="float64")
    before = ops.convert_to_numpy(pool(x))
    after = ops.convert_to_numpy(pool(scale * x + shift))
    np.testing.assert_allclose(after[..., 0], scale * before[..., 0] + shift, atol=1e-9)
    np.testing.assert_allclose(after[..., 1], scale * before[..., 1], rtol=1e-5, atol=1e-5)
