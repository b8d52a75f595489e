"""The PyTorch networks that conversions are compared with against those that people have."""

import pytest

torch = pytest.importorskip("torch")

from tests.support.torch_resnet import (  # noqa: E402
    DEPTHS,
    TIMM,
    TorchResNet,
    torch_resnet,
    torch_variant,
)


def assert_same_entries(theirs, ours) -> None:
    theirs, ours = theirs.state_dict(), ours.state_dict()
    assert list(theirs) == list(ours)
    assert {n: v.shape for n, v in theirs.items()} == {n: v.shape for n, v in ours.items()}


def without_memory(depth: int, kind: str) -> TorchResNet:
    return TorchResNet(*DEPTHS[depth], kind, classes=1000)


def outputs(model, images):
    with torch.no_grad():
        return model.eval()(images)


@pytest.mark.parametrize("depth", DEPTHS)
def test_torchvision(depth):
    torchvision = pytest.importorskip("torchvision")
    with torch.device("meta"):
        published = getattr(torchvision.models, f"resnet{depth}")()
        assert_same_entries(published, without_memory(depth, "torchvision"))


@pytest.mark.parametrize("depth", DEPTHS)
@pytest.mark.parametrize("kind", ["torchvision", "timm_se", "timm_eca"])
def test_timm(kind, depth):
    timm = pytest.importorskip("timm")
    name = f"seresnet{depth}" if kind == "timm_se" else f"resnet{depth}"
    options = {"block_args": {"attn_layer": "eca"}} if kind == "timm_eca" else {}
    with torch.device("meta"):
        assert_same_entries(timm.create_model(name, **options), without_memory(depth, kind))


@pytest.mark.parametrize("name", TIMM)
def test_timm_of_every_option(name):
    timm = pytest.importorskip("timm")
    with torch.device("meta"):
        assert_same_entries(timm.create_model(name), torch_variant(name, classes=1000))


@pytest.mark.slow
@pytest.mark.parametrize("depth", [18, 50])
def test_outputs_equal_timm(depth):
    timm = pytest.importorskip("timm")
    ours = torch_resnet(depth, "timm_se")
    theirs = timm.create_model(f"seresnet{depth}", num_classes=10)
    theirs.load_state_dict(ours.state_dict())
    images = torch.randn(2, 3, 64, 64)
    torch.testing.assert_close(outputs(theirs, images), outputs(ours, images))
