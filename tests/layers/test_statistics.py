"""The gradients written by hand: float64 references, the plain formula, and what they keep."""

import keras
import numpy as np
import pytest
from keras import ops

from srm_keras.layers import SRM, GatherExcite, SqueezeExcite, recalibration
from srm_keras.layers.statistics import gated, spatial_mean_std
from tests.support.gradients import function_gradient, layer_gradients
from tests.support.weights import feature_map, randomize, to_format

EPSILON = 1e-5
BACKEND = keras.config.backend()


def plain_mean_std(x, axes, unbiased):
    """Eqs. 1-3 without a gradient of their own."""
    pixels = x.shape[axes[0]] * x.shape[axes[1]]
    mean = ops.sum(x, axis=axes, keepdims=True) / pixels
    divisor = max(pixels - 1, 1) if unbiased else pixels
    variance = ops.sum(ops.square(x - mean), axis=axes) / divisor
    return ops.stack([ops.squeeze(mean, axes), ops.sqrt(variance + EPSILON)], axis=-1)


@pytest.mark.parametrize("unbiased", [False, True])
@pytest.mark.parametrize(
    ("data_format", "axes"), [("channels_last", (1, 2)), ("channels_first", (2, 3))]
)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_value_and_gradient_equal_the_plain_formula(data_format, axes, unbiased, dtype):
    x = to_format(feature_map((2, 5, 4, 3), dtype=dtype), data_format)
    upstream = np.random.default_rng(1).normal(size=(2, 3, 2)).astype(dtype)

    def own(x):
        return spatial_mean_std(x, data_format, EPSILON, unbiased)

    def plain(x):
        return plain_mean_std(x, axes, unbiased)

    tolerance = 1e-12 if dtype == "float64" else 3e-6
    tensor = ops.convert_to_tensor(x)
    np.testing.assert_allclose(
        ops.convert_to_numpy(own(tensor)), ops.convert_to_numpy(plain(tensor)), rtol=tolerance
    )
    np.testing.assert_allclose(
        function_gradient(own, x, upstream),
        function_gradient(plain, x, upstream),
        rtol=tolerance,
        atol=tolerance,
    )


@pytest.mark.parametrize("unbiased", [False, True])
@pytest.mark.parametrize("training", [False, True])
def test_input_gradient_equals_float64_finite_differences(training, unbiased):
    # Elsewhere Keras' batch norm is float32 inside, too coarse for finite differences.
    layer = SRM(unbiased=unbiased, batch_norm=BACKEND == "tensorflow", dtype="float64")
    x = feature_map((3, 3, 2, 4), dtype="float64")
    layer.build(x.shape)
    randomize(layer)
    moving = [variable for variable in layer.variables if "moving" in variable.path]
    before = [ops.convert_to_numpy(variable) for variable in moving]
    upstream = np.random.default_rng(1).normal(size=x.shape)
    _, dx, _ = layer_gradients(layer, x, upstream, training)

    def loss(values):
        for variable, value in zip(moving, before, strict=True):
            variable.assign(value)
        return float(np.sum(upstream * ops.convert_to_numpy(layer(values, training=training))))

    step = 1e-6
    expected = np.empty_like(x)
    for index in np.ndindex(*x.shape):
        up, down = x.copy(), x.copy()
        up[index] += step
        down[index] -= step
        expected[index] = (loss(up) - loss(down)) / (2 * step)
    np.testing.assert_allclose(dx, expected, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("ratio", [1.0, 100.0, 1000.0])
@pytest.mark.parametrize("side", [7, 56])
def test_std_keeps_its_digits_where_the_mean_outweighs_it(ratio, side):
    noise = np.random.default_rng(0).normal(size=(2, side, side, 16))
    x = (ratio + noise).astype("float32")
    expected = np.sqrt(x.astype("float64").var(axis=(1, 2)) + EPSILON)
    t = ops.convert_to_numpy(spatial_mean_std(ops.convert_to_tensor(x), "channels_last", EPSILON))
    np.testing.assert_allclose(t[..., 1], expected, rtol=1e-5)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_is_widened_before_it_is_squared(dtype):
    x = ops.cast(300.0 * feature_map((2, 8, 8, 4)), dtype)
    t = spatial_mean_std(x, "channels_last", EPSILON)
    wide = ops.convert_to_numpy(ops.cast(x, "float32")).astype("float64")
    expected = np.stack([wide.mean(axis=(1, 2)), wide.std(axis=(1, 2))], axis=-1)
    assert keras.backend.standardize_dtype(t.dtype) == "float32"
    np.testing.assert_allclose(ops.convert_to_numpy(t), expected, rtol=1e-5)


def test_a_constant_channel_has_a_finite_gradient():
    x = np.full((2, 4, 4, 3), 7.0, "float32")
    gradient = function_gradient(
        lambda x: spatial_mean_std(x, "channels_last", EPSILON), x, np.ones((2, 3, 2), "float32")
    )
    np.testing.assert_allclose(gradient, 1.0 / 16.0, rtol=1e-5)


SPREAD = {"global": (2, 1, 1, 3), "of each pixel": (2, 5, 4, 3), "of all channels": (2, 5, 4, 1)}


@pytest.mark.parametrize("gates_shape", SPREAD.values(), ids=SPREAD)
@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_the_product_with_gates_has_the_plain_products_gradients(gates_shape, data_format):
    random = np.random.default_rng(0)
    x, upstream = (to_format(random.normal(size=(2, 5, 4, 3)), data_format) for _ in range(2))
    gates = to_format(random.random(gates_shape), data_format)
    summed = tuple(axis for axis in range(4) if gates.shape[axis] == 1)
    np.testing.assert_allclose(ops.convert_to_numpy(gated(*_tensors(x, gates))), x * gates)
    np.testing.assert_allclose(
        function_gradient(lambda x: gated(x, *_tensors(gates)), x, upstream), upstream * gates
    )
    np.testing.assert_allclose(
        function_gradient(lambda gates: gated(*_tensors(x), gates), gates, upstream),
        (upstream * x).sum(axis=summed, keepdims=True),
        rtol=1e-12,
    )


def _tensors(*arrays):
    return [ops.convert_to_tensor(array, dtype="float64") for array in arrays]


OVERFLOWING = [
    *("srm", "se", "eca", "cbam"),
    {"name": "ge", "extent": 0, "params": "theta"},
    {"name": "ge", "extent": 0, "params": "theta_plus"},
    {"name": "ge", "extent": 4, "params": "theta_minus"},
]


# Elsewhere than on TensorFlow a case takes seconds to compile: one of each kind of gates.
SCALED = [("mixed_float16", 2.0**15), ("mixed_float16", 1.0), ("mixed_bfloat16", 1.0)]


@pytest.mark.parametrize(
    ("policy", "loss_scale"), SCALED[: 3 if BACKEND == "tensorflow" else 1], ids=str
)
@pytest.mark.parametrize(
    "spec", OVERFLOWING if BACKEND == "tensorflow" else ["srm", "se", *OVERFLOWING[-2:]], ids=str
)
def test_gradients_of_gates_are_summed_in_float32(spec, policy, loss_scale):
    """Over 1,024 pixels of mean 1000, Σ dy·x is 1,000,000: float16 ends at 65,504."""
    options = {"name": spec} if isinstance(spec, str) else spec
    random = np.random.default_rng(0)
    # CBAM's maximum over the channels stays with the last one, however values are rounded.
    x = np.linspace(700, 1300, 8) + 10 * random.normal(size=(4, 32, 32, 8))
    x = ops.cast(x, policy.removeprefix("mixed_"))
    wide = ops.convert_to_numpy(ops.cast(x, "float64"))
    found = {}
    for dtype, values in ((policy, x), ("float64", wide)):
        layer = recalibration({**options, "dtype": dtype}, name="module")
        layer.build(wide.shape)
        randomize(layer)
        for weight in layer.trainable_variables:
            if weight.name == "kernel":
                weight.assign(1e-3 * weight)  # gates in (0, 1), not at its ends
        _, dx, dw = layer_gradients(
            layer, values, np.full(wide.shape, loss_scale, "float32"), training=False
        )
        found[dtype] = [np.asarray(gradient, "float64") for gradient in (dx, *dw)]
    dx, *dw = (np.abs(a - b).max() / np.abs(b).max() for a, b in zip(*found.values(), strict=True))
    assert max(dw, default=0.0) < (1e-2 if spec == "cbam" else 2e-6)
    if np.abs(found["float64"][0]).max() < 65504:  # else float16 has no such gradient of x
        assert dx < 1e-2


def _layer_and_input(layer):
    x = ops.convert_to_numpy(ops.cast(feature_map((4, 16, 16, 8)), layer.compute_dtype))
    layer.build(x.shape)
    randomize(layer)
    return layer, x


kept = pytest.mark.parametrize(
    "make",
    [
        SRM,
        lambda: SRM(dtype="mixed_float16"),
        SqueezeExcite,
        lambda: SqueezeExcite(dtype="mixed_float16"),
        lambda: GatherExcite(dtype="mixed_float16"),
    ],
    ids=["srm", "srm in float16", "se", "se in float16", "ge in float16"],
)


@kept
@pytest.mark.skipif(BACKEND != "tensorflow", reason="looks at a TensorFlow graph")
def test_tensorflow_keeps_only_the_input_for_the_backward_pass(make):
    import tensorflow as tf

    layer, x = _layer_and_input(make())

    @tf.function
    def step(x, dy):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = layer(x, training=True)
        return tape.gradient(y, [x, *(v.value for v in layer.trainable_variables)], dy)

    graph = step.get_concrete_function(tf.constant(x), tf.constant(x)).graph
    inputs = {graph.inputs[0].name, graph.inputs[1].name}
    backward = {graph.inputs[1].name}
    kept = set()
    # Of the input itself, not of what is kept: the backward pass widens it again.
    inputs |= {op.outputs[0].name for op in graph.get_operations() if _widens(op, inputs)}
    for op in graph.get_operations():  # in topological order
        if backward & {tensor.name for tensor in op.inputs}:
            backward |= {tensor.name for tensor in op.outputs}
            kept |= {t.name for t in op.inputs if t.name not in backward and t.shape == x.shape}
    assert len(backward) > 5
    assert kept <= inputs


def _widens(op, inputs):
    return op.type == "Cast" and op.inputs[0].name in inputs


@kept
@pytest.mark.skipif(BACKEND != "jax", reason="looks at JAX residuals")
def test_jax_keeps_only_the_input_for_the_backward_pass(make):
    import jax

    layer, x = _layer_and_input(make())
    x = jax.numpy.asarray(x)
    trainable = [variable.value for variable in layer.trainable_variables]
    fixed = [variable.value for variable in layer.non_trainable_variables]
    _, backward = jax.vjp(
        lambda x, w: layer.stateless_call(w, fixed, x, training=True)[0], x, trainable
    )
    large = [r for r in jax.tree.leaves(backward) if getattr(r, "size", 0) >= x.size]
    assert large
    assert all(np.array_equal(r, x) for r in large)


@kept
@pytest.mark.skipif(BACKEND != "torch", reason="looks at torch's saved tensors")
def test_torch_keeps_only_the_input_for_the_backward_pass(make):
    import torch

    layer, x = _layer_and_input(make())
    x = torch.tensor(x, requires_grad=True)
    saved = []
    with torch.autograd.graph.saved_tensors_hooks(
        lambda tensor: saved.append(tensor) or tensor, lambda tensor: tensor
    ):
        layer(x, training=True)
    large = [tensor for tensor in saved if tensor.numel() >= x.numel()]
    assert large
    assert {tensor.data_ptr() for tensor in large} == {x.data_ptr()}
