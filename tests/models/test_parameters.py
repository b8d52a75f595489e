"""Trainable parameters against the tables of the papers, to the digit."""

import functools

import numpy as np
import pytest

from srm_keras.models import CifarResNet, ResNet, ResNet18, ResNet34, ResNet152, build


def slow(*case):
    return pytest.param(*case, marks=pytest.mark.slow)


def trainable(model) -> int:
    return sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)


@functools.cache
def counts(name, module=None, **options) -> tuple[int, int]:
    """The trainable parameters of a network of the catalogue, and all of them."""
    model = build(name, recalibration=module, **options)
    return trainable(model), model.count_params()


@pytest.mark.parametrize(
    ("name", "module", "expected"),
    [
        # Here and in table 2, plain and SRM are by default those of `test_paper_complexity`.
        slow("resnet50", None, 25_557_032),
        ("resnet50", "se", 28_088_024),
        ("resnet50", "ge", 31_121_704),
        slow("resnet50", "srm", 25_617_448),
        ("resnet101", None, 44_549_160),
        slow("resnet101", "se", 49_326_872),
        slow("resnet101", "ge", 53_578_024),
        slow("resnet101", "srm", 44_679_208),
    ],
)
def test_table_1_imagenet(name, module, expected):
    assert counts(name, module)[0] == expected


@pytest.mark.parametrize(
    ("classes", "module", "expected"),
    [
        slow(10, None, 869_530),
        (10, "se", 970_582),
        (10, "ge", 1_913_818),
        slow(10, "srm", 885_658),
        slow(100, None, 892_660),
        slow(100, "se", 993_712),
        slow(100, "ge", 1_936_948),
        (100, "srm", 908_788),
    ],
)
def test_table_2_cifar(classes, module, expected):
    assert trainable(CifarResNet(56, recalibration=module, classes=classes)) == expected


@pytest.mark.parametrize(
    ("module", "of_a_block"),
    [("simam", lambda c: 0), ("gct", lambda c: 3 * c), ("fca", lambda c: 2 * c * (c // 16))],
)
def test_modules_that_the_paper_lacks(module, of_a_block):
    plain, network = (CifarResNet(8, "basic", recalibration=spec) for spec in (None, module))
    assert trainable(network) - trainable(plain) == sum(map(of_a_block, (16, 32, 64)))
    assert network.count_params() - plain.count_params() == sum(map(of_a_block, (16, 32, 64)))


@pytest.mark.parametrize(
    ("module", "side", "expected"),
    [
        slow(None, 32, 508_095),
        ("se", 32, 564_235),
        slow("srm", 32, 517_055),
        ("srm", 64, 517_055),
    ],
)
def test_table_5_dtd(module, side, expected):
    model = CifarResNet(32, recalibration=module, classes=47, input_shape=(side, side, 3))
    assert trainable(model) == expected


@pytest.mark.parametrize(
    ("depth", "shortcut", "expected"),
    [
        # He et al. 2016, table 6, in digits: option A has no weights.
        (20, "identity", 269_722),
        slow(32, "identity", 464_154),
        slow(44, "identity", 658_586),
        slow(56, "identity", 853_018),
        slow(110, "identity", 1_727_962),
        (56, "projection", 855_770),
    ],
)
def test_classic_basic_block_networks(depth, shortcut, expected):
    assert trainable(CifarResNet(depth, "basic", shortcut=shortcut)) == expected


@pytest.mark.parametrize(
    ("builder", "expected"),
    [
        # The published counts of the same networks in torchvision.
        (ResNet18, 11_689_512),
        (ResNet34, 21_797_672),
        slow(ResNet152, 60_192_808),
    ],
)
def test_imagenet_networks(builder, expected):
    assert trainable(builder()) == expected


def test_the_stride_placement_changes_no_weights():
    one, other = (ResNet(blocks=(1, 2, 1, 1), stride_in=place) for place in ("1x1", "3x3"))
    assert one.count_params() == other.count_params()
    assert trainable(one) == trainable(other)


@pytest.mark.slow
def test_equation_10_counts_the_moving_averages_too():
    """6·ΣN·C is CFC (2), γ, β (2) and the two moving averages; tables count the first four."""
    plain, srm = counts("resnet50"), counts("resnet50", "srm")
    blocks_times_channels = 3 * 256 + 4 * 512 + 6 * 1024 + 3 * 2048
    assert srm[1] - plain[1] == 6 * blocks_times_channels
    assert srm[0] - plain[0] == 4 * blocks_times_channels
