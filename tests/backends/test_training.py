"""The training system where TensorFlow is not the backend."""

import math

import pytest

from srm_keras.files import read_json
from srm_keras.training import load_run
from srm_keras.training.curves import read_metrics
from tests.support.tiny_training import assert_same_run, tiny_recipe, train_tiny


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    workdir = tmp_path_factory.mktemp("undisturbed")
    train_tiny(tiny_recipe(), workdir)
    return workdir


def test_a_recipe_trains_from_arrays(undisturbed):
    rows = read_metrics(undisturbed / "metrics.csv")
    assert [row["step"] for row in rows] == [4, 8]
    assert all(math.isfinite(value) for row in rows for value in row.values())
    result = read_json(undisturbed / "result.json")
    last = result["last"]["splits"]["test"]
    assert last["accuracy"] == pytest.approx(rows[-1]["val_accuracy"], abs=1e-6)
    assert last["loss"] == pytest.approx(rows[-1]["val_loss"], rel=1e-4)
    assert load_run(undisturbed).recipe.recalibration == "srm"


@pytest.mark.parametrize("step", [3, 5])
def test_a_run_that_dies_and_goes_on_is_bit_identical(step, undisturbed, tmp_path):
    train_tiny(tiny_recipe(), tmp_path, die_after=step)
    train_tiny(tiny_recipe(), tmp_path)
    assert_same_run(undisturbed, tmp_path)
