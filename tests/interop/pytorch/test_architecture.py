"""Which ResNet a state dict is of; networks without memory suffice for that."""

import pytest

from srm_keras.interop.pytorch import describe
from srm_keras.models.variants import variant

torch = pytest.importorskip("torch")

from tests.support.torch_resnet import (  # noqa: E402
    DEPTHS,
    KINDS,
    TIMM,
    TorchResNet,
    torch_variant,
)

SRM = {"name": "srm", "unbiased": True, "epsilon": 1e-12}


def state_of(depth: int, kind: str, **options):
    with torch.device("meta"):
        return TorchResNet(*DEPTHS[depth], kind, **options).state_dict()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("depth", DEPTHS)
def test_depth_layout_and_modules(depth, kind):
    found = describe(state_of(depth, kind, classes=24, image_size=128))
    assert (found.depth, found.classes) == (depth, 24)
    assert (found.block, found.blocks) == DEPTHS[depth]
    assert found.layout == kind.partition("_")[0]
    specs = {"torchvision": None, "timm_eca": "eca", "authors_srm": SRM, "authors_ge": "ge"}
    basic_of_timm = kind == "timm_se" and depth < 50
    eight_units = [{"name": "se", "reduction": 8}, "se", "se", "se"]
    expected = eight_units if basic_of_timm else specs.get(kind, "se")
    assert found.recalibration == expected
    assert found.image_size == (128 if kind == "authors_ge" else None)
    assert f"ResNet-{depth}" in str(found)


def test_other_numbers_of_blocks_have_no_depth():
    with torch.device("meta"):
        state = TorchResNet("bottleneck", (2, 2, 2, 2), "torchvision").state_dict()
    del state["fc.weight"]
    found = describe(state)
    assert (found.depth, found.classes) == (None, None)
    assert str(found).startswith("a ResNet with bottleneck blocks 2-2-2-2")


@pytest.mark.parametrize("name", TIMM)
def test_stem_shortcuts_and_groups_are_those_of_the_name(name):
    with torch.device("meta"):
        found = describe(torch_variant(name).state_dict())
    network, recalibration = variant(name)
    assert (found.network, found.recalibration) == (network.strided, recalibration)
    assert all(f"{option}=" in str(found) for option in found.options)


def test_a_stem_of_other_widths_is_refused():
    with torch.device("meta"):
        state = torch_variant("resnet10t").state_dict()
        state["conv1.3.weight"] = torch.zeros(30, 24, 3, 3)
    with pytest.raises(ValueError, match=r"a stem of \(32, 32, 64\), .*one of \(24, 30, 64\)"):
        describe(state)


def test_what_is_no_resnet_is_refused():
    with pytest.raises(ValueError, match=r"no 'conv1.weight'; it begins with cls_token"):
        describe({"cls_token": torch.zeros(1)})
    with pytest.raises(ValueError, match="it begins with nothing"):
        describe({})
