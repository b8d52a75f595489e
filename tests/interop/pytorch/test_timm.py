"""Networks built by timm's names, with timm's weights."""

import numpy as np
import pytest
from keras import ops

from srm_keras.interop import from_timm, list_timm

torch = pytest.importorskip("torch")

from tests.support.torch_resnet import DEPTHS, TorchResNet, torch_resnet  # noqa: E402


def test_the_name_builds_and_the_file_fills(tmp_path):
    pytest.importorskip("safetensors")
    from safetensors.torch import save_file

    network = torch_resnet(18, "timm_se", classes=7)
    save_file(network.state_dict(), tmp_path / "model.safetensors")
    model = from_timm(
        "seresnet18",
        tmp_path / "model.safetensors",
        input_shape=(32, 32, 3),
        classifier_activation=None,
    )
    x = np.random.default_rng(0).normal(size=(2, 32, 32, 3)).astype("float32")
    with torch.no_grad():
        expected = network(torch.tensor(np.moveaxis(x, -1, 1).copy())).numpy()
    assert model.name == "seresnet18"
    np.testing.assert_allclose(
        ops.convert_to_numpy(model(x)), expected, atol=1e-4 * abs(expected).max()
    )


def test_a_name_that_is_not_known_or_not_that_of_the_weights_is_refused():
    assert "seresnet50" in list_timm()
    state = TorchResNet(*DEPTHS[18], "torchvision").state_dict()
    with pytest.raises(ValueError, match=r"`name` must be one of .*did you mean 'seresnet50'"):
        from_timm("sersnet50", state)
    with pytest.raises(ValueError, match=r"must be of timm's 'seresnet18'.* of a ResNet-18 with"):
        from_timm("seresnet18", state)
