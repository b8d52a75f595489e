"""A run that was interrupted ends as if it had not been."""

from pathlib import Path

import pytest

from tests.support.tiny_training import (
    assert_same_run,
    tiny_recipe,
    train_tiny,
)

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    workdir = tmp_path_factory.mktemp("undisturbed")
    train_tiny(tiny_recipe(), workdir)
    return workdir


@pytest.mark.parametrize("deaths", [(2,), (3,), (4,), (5, 7)], ids=str)
def test_a_run_that_dies_and_goes_on_is_bit_identical(deaths, undisturbed, tmp_path):
    """Before any checkpoint, just after one, at an evaluation, and twice in an epoch."""
    for step in deaths:
        train_tiny(tiny_recipe(), tmp_path, die_after=step)
    train_tiny(tiny_recipe(), tmp_path)
    assert_same_run(undisturbed, tmp_path)
