"""Logits equal to PyTorch's, weights back to the bit, and nothing loaded of what does not fit."""

import keras
import numpy as np
import pytest
from keras import ops

from srm_keras import models
from srm_keras.export import fold
from srm_keras.interop import (
    AUTHORS_SRM,
    StateDictError,
    from_torch_state_dict,
    to_torch_state_dict,
)
from srm_keras.interop.pytorch import describe, read_arrays
from srm_keras.models import CifarResNet
from tests.support.weights import feature_map, randomize

torch = pytest.importorskip("torch")

from tests.support.torch_resnet import KINDS, torch_cifar_resnet, torch_resnet  # noqa: E402

SPECS = {
    "torchvision": None,
    "timm_eca": "eca",
    "authors_srm": AUTHORS_SRM,
    "authors_se": "se",
    "authors_ge": "ge",
}
BLOCKS_AND_KINDS = [
    *(("bottleneck", kind) for kind in KINDS),
    *(("basic", kind) for kind in ("torchvision", "timm_se")),
    *(
        pytest.param("basic", kind, marks=pytest.mark.slow)
        for kind in KINDS
        if kind not in ("torchvision", "timm_se")
    ),
]


def cifar_network(block="basic", recalibration=None, **options):
    options = {"classes": 10, "classifier_activation": None, **options}
    return CifarResNet(8, block, recalibration=recalibration, **options)


def cifar_specs(block: str, kind: str):
    """The modules of ``torch_cifar_resnet``; timm's SE never has fewer than 8 hidden units."""
    if kind != "timm_se":
        return SPECS[kind]
    channels = [16, 32, 64] if block == "basic" else [64, 128, 256]
    hidden = [max(c // 16, 8) for c in channels]
    return [{"name": "se", "reduction": c // h} for c, h in zip(channels, hidden, strict=True)]


def relative_error(network, model, size: int) -> float:
    x = feature_map((2, size, size, 3))
    x[1] = 3 * x[1] + 1  # another contrast and brightness, so that the logits differ
    with torch.no_grad():
        expected = network(torch.tensor(np.moveaxis(x, -1, 1).copy())).numpy()
    assert expected.std() > 0.1
    assert np.abs(expected[0] - expected[1]).max() > 0.1
    return np.abs(ops.convert_to_numpy(model(x)) - expected).max() / np.abs(expected).max()


@pytest.mark.parametrize(("block", "kind"), BLOCKS_AND_KINDS)
def test_logits_equal_pytorch_and_weights_go_back(block, kind):
    network = torch_cifar_resnet(block, kind)
    model = cifar_network(block, cifar_specs(block, kind))
    assert from_torch_state_dict(model, network.state_dict()) is model
    assert relative_error(network, model, 32) < 1e-4
    back = to_torch_state_dict(model, kind.partition("_")[0])
    expected = network.state_dict()
    assert set(back) == set(expected)
    for name, value in expected.items():
        assert back[name].dtype == value.dtype
        assert torch.equal(back[name], value), name
    network.load_state_dict(back, strict=True)


@pytest.mark.parametrize(
    ("depth", "kind"),
    [
        (18, "authors_srm"),
        *(
            pytest.param(depth, kind, marks=pytest.mark.slow)
            for depth in (18, 50)
            for kind in KINDS
            if (depth, kind) != (18, "authors_srm")
        ),
        *(
            pytest.param(depth, kind, marks=pytest.mark.slow)
            for depth in (34, 101, 152)
            for kind in ("torchvision", "authors_srm")
        ),
    ],
)
def test_logits_of_imagenet_networks_equal_pytorch(depth, kind):
    network = torch_resnet(depth, kind, classes=7)
    arrays = read_arrays(network.state_dict())
    build = getattr(models, f"ResNet{depth}")
    model = build(
        recalibration=describe(arrays).recalibration,
        classes=7,
        input_shape=(64, 64, 3),
        classifier_activation=None,
    )
    from_torch_state_dict(model, arrays)
    assert relative_error(network, model, 64) < 1e-4


def test_srm_whose_batch_norm_magnifies_small_differences_of_the_styles():
    """As after training: the module's batch norm has the statistics of the styles it gets."""
    network = torch_cifar_resnet("bottleneck", "authors_srm")
    for stage in (network.layer1, network.layer2, network.layer3):
        stage[0].rclb.bn.train().momentum = 1.0
    with torch.no_grad():
        network(torch.tensor(feature_map((32, 32, 32, 3))).moveaxis(-1, 1))
    network.eval()
    model = cifar_network("bottleneck", AUTHORS_SRM)
    from_torch_state_dict(model, network.state_dict())
    assert relative_error(network, model, 32) < 1e-4


def test_wrapped_and_prefixed_state_dicts_are_the_same():
    state = torch_cifar_resnet("basic", "torchvision").state_dict()
    prefixed = {f"module.{name}": value for name, value in state.items()}
    for source in (
        prefixed,
        {"state_dict": prefixed, "epoch": 3, "best_acc": 76.1},
        {"model": state},
        {name: value.numpy() for name, value in state.items()},
    ):
        model = from_torch_state_dict(cifar_network(), source)
        back = to_torch_state_dict(model)
        assert all(torch.equal(back[name], value) for name, value in state.items())


def test_a_channels_first_network_gets_the_same_weights():
    state = torch_cifar_resnet("basic", "authors_ge").state_dict()
    model = cifar_network(recalibration="ge", data_format="channels_first", input_shape=(3, 32, 32))
    back = to_torch_state_dict(from_torch_state_dict(model, state), "authors")
    assert all(torch.equal(back[name], value) for name, value in state.items())


def test_the_classifier_can_be_left_out():
    state = torch_cifar_resnet("basic", "torchvision").state_dict()
    other = cifar_network(classes=3)
    with pytest.raises(StateDictError, match=r"head=False leaves.*fc.weight is \(10, 64\)") as info:
        from_torch_state_dict(other, state)
    assert len(info.value.misshaped) == 2
    before = other.get_layer("logits").get_weights()
    from_torch_state_dict(other, state, head=False)
    for old, new in zip(before, other.get_layer("logits").get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    headless = cifar_network(include_top=False)
    for model in (other, from_torch_state_dict(headless, state)):
        kernel = model.get_layer("conv4_1_2_conv").kernel
        expected = state["layer3.0.conv2.weight"].numpy().transpose(2, 3, 1, 0)
        np.testing.assert_array_equal(ops.convert_to_numpy(kernel), expected)
    with pytest.raises(ValueError, match="`head` must be True or False"):
        from_torch_state_dict(other, state, head=None)


def without(state, name):
    return {key: value for key, value in state.items() if key != name}


@pytest.mark.parametrize(
    ("change", "kind", "named"),
    [
        (lambda s: without(s, "layer3.0.bn2.running_var"), "missing", "layer3.0.bn2.running_var"),
        (lambda s: {**s, "layer3.0.bn9.bias": s["bn1.bias"]}, "unexpected", "layer3.0.bn9.bias"),
        (
            lambda s: {**s, "layer2.0.downsample.0.weight": s["conv1.weight"]},
            "misshaped",
            "layer2.0.downsample.0.weight is (16, 3, 3, 3), must be (32, 16, 1, 1)",
        ),
    ],
)
def test_nothing_is_loaded_halfway(change, kind, named):
    model = cifar_network()
    randomize(model)
    before = [ops.convert_to_numpy(variable) for variable in model.variables]
    state = change(torch_cifar_resnet("basic", "torchvision").state_dict())
    with pytest.raises(StateDictError, match="nothing was loaded") as info:
        from_torch_state_dict(model, state)
    assert getattr(info.value, kind) == [named]
    assert named in str(info.value)
    for old, variable in zip(before, model.variables, strict=True):
        np.testing.assert_array_equal(old, ops.convert_to_numpy(variable))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -1e300])
def test_numbers_that_are_not_finite_are_refused_by_name(value):
    """-1e300 is finite in float64 and not in float32, in which weights are."""
    model = cifar_network()
    before = [ops.convert_to_numpy(variable) for variable in model.variables]
    state = torch_cifar_resnet("basic", "torchvision").state_dict()
    for name in ("layer2.0.conv1.weight", "fc.bias"):
        state[name] = state[name].double()
        state[name].view(-1)[-1] = value
    with pytest.raises(ValueError, match=r"NaN or inf.* in 'layer2\.0\.conv1\.weight' and 1 more"):
        from_torch_state_dict(model, state)
    for old, variable in zip(before, model.variables, strict=True):
        np.testing.assert_array_equal(old, ops.convert_to_numpy(variable))
    state["layer2.0.conv1.weight"].view(-1)[-1] = 0.0
    from_torch_state_dict(model, state, head=False)  # the classifier is not read


def test_a_long_list_of_names_is_cut_in_the_message_alone():
    state = torch_cifar_resnet("bottleneck", "torchvision").state_dict()
    with pytest.raises(StateDictError, match=r"and \d+ more") as info:
        from_torch_state_dict(cifar_network("basic"), state)
    assert "layer3.0.conv3.weight" in info.value.unexpected
    assert len(str(info.value)) < 1500


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        ("torchvision", {"stride_in": "1x1"}, "stride_in='3x3'"),
        ("torchvision", {"recalibration": "se"}, "'torchvision' have no modules"),
        ("authors_srm", {"recalibration": "srm"}, "'unbiased': True"),
        ("authors_srm", {"recalibration": {**AUTHORS_SRM, "pooling": ["std"]}}, "'unbiased': True"),
        ("authors_srm", {"recalibration": "cbam"}, "SRM, SqueezeExcite, GatherExcite"),
        ("authors_ge", {"recalibration": {"name": "ge", "extent": 2}}, "must be 'ge'"),
        ("timm_se", {"recalibration": {"name": "se", "gain": 2}}, "with gain=2.0"),
        ("timm_eca", {"recalibration": "srm"}, "SqueezeExcite, ECA"),
    ],
)
def test_a_network_with_another_function_is_refused(kind, options, message):
    model = cifar_network("bottleneck", **options)
    state = torch_cifar_resnet("bottleneck", kind).state_dict()
    with pytest.raises(ValueError, match=message):
        from_torch_state_dict(model, state)
    with pytest.raises(ValueError, match=message):
        to_torch_state_dict(model, kind.partition("_")[0])


def test_what_is_no_resnet_as_built_is_refused():
    state = torch_cifar_resnet("basic", "torchvision").state_dict()
    other = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2, name="my_layer")])
    for model in (other, fold(cifar_network())):
        with pytest.raises(ValueError, match="`model` must be a ResNet of this package"):
            from_torch_state_dict(model, state)
    with pytest.raises(ValueError, match=r"`model` must be a keras.Model"):
        from_torch_state_dict("resnet50", state)
    with pytest.raises(ValueError, match=r"`layout` must be one of .*did you mean 'timm'"):
        to_torch_state_dict(cifar_network(), "tim")
