"""The modules against PyTorch's own operations."""

import keras
import numpy as np
import pytest
from keras import ops

from srm_keras.layers import FCA, GCT, SRM, GatherExcite, SimAM
from srm_keras.layers.fca import frequencies_of_channels
from tests.support.reference import FREQUENCIES
from tests.support.weights import feature_map, randomize

torch = pytest.importorskip("torch")

pytestmark = pytest.mark.skipif(
    keras.config.backend() != "tensorflow", reason="one backend is enough"
)


def test_unbiased_srm_equals_the_grouped_convolution_formulation():
    """Mean and torch.std through Conv1d(groups=C) and BatchNorm1d, as in the published code."""
    channels = 6
    layer = SRM(unbiased=True, epsilon=1e-12, data_format="channels_first")
    x = np.moveaxis(feature_map((4, 5, 5, channels)), -1, 1).copy()
    layer.build(x.shape)
    randomize(layer)
    weights = {v.path.split("/", 1)[1]: ops.convert_to_numpy(v) for v in layer.variables}

    cfc = torch.nn.Conv1d(channels, channels, 2, bias=False, groups=channels)
    bn = torch.nn.BatchNorm1d(channels)
    with torch.no_grad():
        cfc.weight.copy_(torch.tensor(weights["cfc/kernel"])[:, None])
        bn.weight.copy_(torch.tensor(weights["bn/gamma"]))
        bn.bias.copy_(torch.tensor(weights["bn/beta"]))
        bn.running_mean.copy_(torch.tensor(weights["bn/moving_mean"]))
        bn.running_var.copy_(torch.tensor(weights["bn/moving_variance"]))
        for training in (True, False):  # training first: it moves the running statistics
            flat = torch.tensor(x).flatten(2)
            style = torch.stack([flat.mean(-1), flat.std(-1)], dim=-1)
            bn.train(training)
            gates = torch.sigmoid(bn(cfc(style)))[..., None]
            expected = (torch.tensor(x) * gates).numpy()
            if training:
                y = ops.convert_to_numpy(layer(x, training=True))
                bn.running_mean.copy_(torch.tensor(weights["bn/moving_mean"]))
                bn.running_var.copy_(torch.tensor(weights["bn/moving_variance"]))
                layer.bn.moving_mean.assign(weights["bn/moving_mean"])
                layer.bn.moving_variance.assign(weights["bn/moving_variance"])
            else:
                y = ops.convert_to_numpy(layer(x, training=False))
            np.testing.assert_allclose(y, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("extent", [2, 4, 8])
@pytest.mark.parametrize("size", [(16, 16), (9, 13)])
def test_theta_minus_equals_avg_pool2d_and_nearest_interpolation(extent, size):
    x = np.moveaxis(feature_map((2, *size, 3)), -1, 1).copy()
    layer = GatherExcite(extent, "theta_minus", data_format="channels_first")
    gathered = torch.nn.functional.avg_pool2d(
        torch.tensor(x), 2 * extent - 1, extent, padding=extent - 1, count_include_pad=False
    )
    gates = torch.sigmoid(torch.nn.functional.interpolate(gathered, size=size))
    np.testing.assert_allclose(
        ops.convert_to_numpy(layer(x)), x * gates.numpy(), rtol=1e-5, atol=1e-6
    )


def channels_first(shape) -> np.ndarray:
    return np.moveaxis(feature_map(shape), -1, 1).copy()


@pytest.mark.parametrize("size", [(9, 14), (1, 2)])
def test_simam_equals_the_standardized_square_with_torch_var(size):
    x = channels_first((3, *size, 4))
    variance, mean = torch.var_mean(torch.tensor(x), dim=(2, 3), correction=1, keepdim=True)
    energy = (torch.tensor(x) - mean) ** 2 / (4 * (variance + 1e-4)) + 0.5
    y = SimAM(data_format="channels_first")(x)
    expected = x * torch.sigmoid(energy).numpy()
    np.testing.assert_allclose(ops.convert_to_numpy(y), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("mode", ["l2", "l1"])
def test_gct_equals_one_plus_tanh_of_normalized_norms(mode):
    """``torch.linalg.vector_norm`` has no ε, whose default matters in channels of zeros alone."""
    x, channels = channels_first((3, 6, 5, 8)), 8
    layer = GCT(mode, data_format="channels_first")
    layer.build(x.shape)
    randomize(layer)
    alpha, gamma, beta = (torch.tensor(weight) for weight in layer.get_weights())
    order = int(mode[1])
    s = alpha * torch.linalg.vector_norm(torch.tensor(x), order, dim=(2, 3))
    mean = torch.linalg.vector_norm(s, order, dim=1, keepdim=True) / channels ** (1 / order)
    gates = 1 + torch.tanh(gamma * s / mean + beta)
    expected = x * gates[..., None, None].numpy()
    y = ops.convert_to_numpy(layer(x))
    np.testing.assert_allclose(y, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("side", "size"), [(7, None), (28, None), (9, None), (16, 7), (8, 14)])
def test_fca_equals_adaptive_pooling_and_the_cosine_transform(side, size):
    """The transform by ``torch.fft``, of the map beside its mirror image."""
    channels = 64
    x = channels_first((2, side, side, channels))
    layer = FCA(size=size, data_format="channels_first")
    layer.build(x.shape)
    pooled = torch.tensor(x, dtype=torch.float64)
    if size is not None:
        pooled = torch.nn.functional.adaptive_avg_pool2d(pooled, size)
    sides = pooled.shape[-1]
    for axis in (2, 3):
        mirrored = torch.cat([pooled, pooled.flip(axis)], dim=axis)
        k = torch.arange(sides)
        shift = torch.exp(-0.5j * torch.pi * k / sides)
        half = torch.fft.fft(mirrored, dim=axis).narrow(axis, 0, sides)
        half = (half.movedim(axis, -1) * shift).movedim(-1, axis)
        scale = torch.where(k == 0, 0.25 / sides, 0.5 / sides).sqrt()
        pooled = (half.real.movedim(axis, -1) * scale).movedim(-1, axis)
    factor = sides // 7
    # The first four of the authors' sixteen, for four channels each.
    for group, (u, v) in enumerate([(0, 0), (0, 1), (6, 0), (0, 5)]):
        own = slice(4 * group, 4 * group + 4)
        np.testing.assert_allclose(
            ops.convert_to_numpy(layer.component(ops.convert_to_tensor(x)))[:, own],
            pooled[:, own, u * factor, v * factor].numpy(),
            rtol=1e-4,
            atol=1e-5,
        )


@pytest.mark.parametrize("order", FREQUENCIES)
def test_frequencies_of_channels_are_those_of_the_authors_in_groups_of_equal_size(order):
    """More frequencies than channels: the first ones; where they do not divide C, one more."""
    pairs = list(zip(*(map(int, digits) for digits in FREQUENCIES[order]), strict=True))
    for count, channels in ((32, 64), (16, 5), (4, 7)):
        found = zip(*frequencies_of_channels(f"{order}{count}", channels), strict=True)
        sizes = [channels // count + (k < channels % count) for k in range(count)]
        assert list(found) == [
            pair for k, pair in enumerate(pairs[:count]) for _ in range(sizes[k])
        ]
