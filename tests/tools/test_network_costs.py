"""The table of what networks take against networks that were built whole."""

import pytest

from srm_keras.analysis import complexity
from srm_keras.interop.trained import NETWORKS
from srm_keras.models import build, list_models
from srm_keras.support.files import read_csv
from tools.studies.network_costs import network_rows

SMALL = ("cifar_resnet32_basic", "gct_cifar_resnet20_basic")
LARGE = ("resnet26t", "cbam_resnet34d", "seresnext26t_32x4d", "resnetaa50", "ge_resnet34")


def counted():
    return {row["name"]: row for row in read_csv(NETWORKS)}


@pytest.mark.parametrize(
    "name", [*SMALL, *(pytest.param(name, marks=pytest.mark.slow) for name in LARGE)]
)
def test_two_units_of_a_stage_tell_of_all(name):
    (row,) = network_rows([name])
    whole = complexity(build(name)).total
    assert row == {"name": name, "parameters": whole.trainable, "multiply_adds": whole.operations}
    assert counted()[name] == {key: str(value) for key, value in row.items()}


def test_the_table_has_every_network():
    """Where it has not: ``python -m tools.studies.network_costs --out=srm_keras/zoo``."""
    assert sorted(counted()) == list_models()
