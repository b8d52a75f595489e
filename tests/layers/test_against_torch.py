"""The modules against PyTorch's own operations."""

import keras
import numpy as np
import pytest
from keras import ops

from srm_keras.layers import SRM, GatherExcite
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
