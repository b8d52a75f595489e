"""Networks built by timm's names, with timm's weights."""

import numpy as np
import pytest
from keras import ops

from srm_keras.interop import from_timm, from_torch_state_dict, list_timm, to_torch_state_dict
from srm_keras.interop.hub import list_timm_weights
from srm_keras.interop.pytorch import describe
from srm_keras.models import ResNet
from srm_keras.models.variants import variant
from tests.support.weights import feature_map

torch = pytest.importorskip("torch")

from tests.support.torch_resnet import (  # noqa: E402
    TIMM,
    TorchResNet,
    Variant,
    randomized,
    torch_variant,
)

EVERY_OPTION = [
    name if name == "resnet10t" else pytest.param(name, marks=pytest.mark.slow) for name in TIMM
]


AA34D = Variant((32, 32, 64), average=True, antialias=True)


def images():
    """Two of another contrast and brightness; an average of the last map has a side of 3."""
    x = feature_map((2, 96, 64, 3))
    x[1] = 3 * x[1] + 1
    return x


def logits_of(network, x) -> np.ndarray:
    with torch.no_grad():
        return network(torch.tensor(np.moveaxis(x, -1, 1).copy())).numpy()


def assert_the_same_function(network, model) -> None:
    x = images()
    expected, got = logits_of(network, x), ops.convert_to_numpy(model(x))
    assert np.abs(expected[0] - expected[1]).max() > 0.01 * np.abs(expected).max()
    np.testing.assert_allclose(got, expected, atol=1e-4 * np.abs(expected).max())


@pytest.mark.parametrize("name", EVERY_OPTION)
def test_the_name_builds_the_file_fills_and_weights_go_back(name, tmp_path):
    pytest.importorskip("safetensors")
    from safetensors.torch import save_file

    network = randomized(torch_variant(name, classes=7))
    save_file(network.state_dict(), tmp_path / "model.safetensors")
    options = {"input_shape": (96, 64, 3), "classifier_activation": None}
    model = from_timm(name, tmp_path / "model.safetensors", **options)
    assert model.name == name
    assert_the_same_function(network, model)
    layout = "timm" if TIMM[name][2].startswith("timm") else "torchvision"
    back = to_torch_state_dict(model, layout)
    assert back.keys() == network.state_dict().keys()
    assert all(torch.equal(back[key], value) for key, value in network.state_dict().items())


def test_groups_and_a_pool_of_weights_in_a_network_without_a_name():
    options = Variant((64, 64, 128), "conv", average=True, groups=4, group_width=8, reduction=4)
    network = TorchResNet("bottleneck", (1, 1, 1, 1), "timm_se", variant=options)
    state = randomized(network).state_dict()
    found = describe(state)
    model = ResNet(
        **found.network.settings,
        recalibration=found.recalibration,
        classes=10,
        input_shape=(96, 64, 3),
        classifier_activation=None,
    )
    assert_the_same_function(network, from_torch_state_dict(model, state))


def test_classes_of_its_own_and_no_classifier_at_all():
    state = randomized(torch_variant("resnet10t")).state_dict()
    kernel = np.moveaxis(state["conv1.0.weight"].numpy(), (2, 3, 1, 0), (0, 1, 2, 3))
    without = {name: value for name, value in state.items() if not name.startswith("fc.")}
    shape = {"input_shape": (32, 32, 3)}
    networks = {
        (None, 3): from_timm("resnet10t", state, classes=3, **shape),
        (None, 1, 1, 512): from_timm("resnet10t", without, **shape),
    }
    for expected, model in networks.items():
        assert model.output_shape == expected
        found = ops.convert_to_numpy(model.get_layer("conv1_1_conv").kernel)
        np.testing.assert_array_equal(found, kernel)


def test_the_name_tells_networks_of_the_same_weights_apart():
    with torch.device("meta"):
        found = describe(TorchResNet("bottleneck", (3, 4, 6, 3), "torchvision").state_dict())
    assert found.network == variant("resnet50")[0] == variant("resnetaa50")[0].strided
    network = randomized(TorchResNet("basic", (3, 4, 6, 3), "torchvision", variant=AA34D))
    options = {"input_shape": (96, 64, 3), "classifier_activation": None}
    model = from_timm("resnetaa34d", network.state_dict(), **options)
    assert model.get_layer("conv3_1_1_conv").strides == (1, 1)
    assert_the_same_function(network, model)


def test_a_name_that_is_not_known_or_not_that_of_the_weights_is_refused():
    assert {"seresnet50", "ecaresnet50t", "resnetrs420"} < set(list_timm())
    state = TorchResNet("basic", (2, 2, 2, 2), "torchvision").state_dict()
    with pytest.raises(ValueError, match=r"`name` must be one of .*did you mean 'seresnet50'"):
        from_timm("sersnet50", state)
    with pytest.raises(ValueError, match=r"'ecaresnet50d_pruned' is not built here: pruning chose"):
        from_timm("ecaresnet50d_pruned", state)
    with pytest.raises(ValueError, match=r"must be of timm's 'seresnet18'.* of a ResNet-18 with"):
        from_timm("seresnet18", state)
    with pytest.raises(ValueError, match=r"must be of timm's 'resnet18d'.* of a ResNet-18 with"):
        from_timm("resnet18d", state)


@pytest.mark.slow
@pytest.mark.parametrize("name", list_timm())
def test_logits_equal_those_of_timm(name):
    timm = pytest.importorskip("timm")
    network = randomized(timm.create_model(name, num_classes=7))
    options = {"input_shape": (96, 64, 3), "classifier_activation": None}
    model = from_timm(name, network.state_dict(), **options)
    trainable = sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)
    assert trainable == sum(parameter.numel() for parameter in network.parameters())
    assert_the_same_function(network, model)


def test_tags_are_those_of_timm():
    timm = pytest.importorskip("timm")
    trained = timm.list_models(module="resnet", pretrained=True)
    published = {f"timm/{name}" for name in trained if name.partition(".")[0] in list_timm()}
    assert set(list_timm_weights()) == published
