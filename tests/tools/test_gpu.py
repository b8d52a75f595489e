"""What the study of a GPU counts; `tests/backends/test_gpu_study.py` runs it, on JAX."""

import pytest

from srm_keras.analysis import complexity
from srm_keras.models import CifarResNet, ResNet
from tests.support.command_lines import command
from tools.studies import gpu
from tools.studies.gpu_page import Amount, nominal, rates
from tools.studies.timed_steps import FEWEST_PASSES, Network, modules


@pytest.mark.parametrize(
    ("network", "build"),
    [
        (Network((1, 2, 1, 1), 64, 7, 2), lambda **size: ResNet(blocks=(1, 2, 1, 1), **size)),
        (Network((2, 2, 2), 16, 7, 2), lambda **size: CifarResNet(14, **size)),
    ],
)
def test_multiply_adds_are_those_that_are_counted(network, build):
    model = build(input_shape=(network.side, network.side, 3), classes=7)
    assert network.multiply_adds == complexity(model).total.multiply_adds
    assert round(gpu.FULL.networks["resnet50"].multiply_adds / 1e9, 4) == 4.0892


def test_rates_and_shares():
    limits = {"bytes": 3000.0, "flops": 600.0}
    card = nominal("NVIDIA H100 80GB HBM3")
    moved = rates(Amount(bytes=3 * 10**9), 2.0, limits, card)
    assert moved == {
        "gb_per_second": 1500.0,
        "share_of_measured": 0.5,
        "share_of_nominal": round(1500 / 3352, 4),
    }
    trained = rates(Amount(flops=6 * 10**12, images=256), 100.0, limits, card)
    assert trained["images_per_second"] == 2560
    assert trained["share_of_measured"] == 0.1
    assert nominal("NVIDIA H100 PCIe") != card
    assert rates(Amount(bytes=1), 1.0, limits, nominal("cpu"))["share_of_nominal"] is None


def test_the_most_important_comes_first():
    found = gpu.parts(gpu.FULL, ["torch", "timm"])
    assert [part.kind for part in found[:2]] == ["card", "steps"]
    assert {("timm", "se"), ("torch", "srm"), ("keras", "srm")} <= set(found[1].keys)
    places = [tuple(place.values()) for part in found for place in part.places()]
    trained = {place[2] for place in places if place[:2] == ("resnet50", "keras")}
    assert trained == {"plain", *modules()} - {"multiply", "srm (autodiff)"}
    assert len({place for place in places if "×" in place[0]}) == 8 * len(FEWEST_PASSES)
    assert not [part for part in gpu.parts(gpu.FULL, []) if "torch" in str(part.keys)]


def test_another_backend_is_refused(tmp_path):
    done = command("tools.studies.gpu", f"--out={tmp_path}")
    assert done.returncode == 1
    assert "needs KERAS_BACKEND=jax in its environment. Received: 'tensorflow'" in done.stderr
