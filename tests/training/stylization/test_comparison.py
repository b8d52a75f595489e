import csv

import numpy as np
import pytest
from PIL import Image

from srm_keras.support.files import folder_lock
from srm_keras.training.stylization import compare_stylizers, comparison
from srm_keras.training.stylization.comparison import LOSSES, smoothed
from tests.support.tiny_stylization import tiny_recipe

MODULES = {"se2": {"name": "se", "reduction": 2}}


@pytest.mark.slow
def test_the_tables_and_pictures_of_two_seeds(tmp_path):
    recipe = tiny_recipe(steps=1, eval_every=1, checkpoint_every=0)
    (entry,) = compare_stylizers(recipe, tmp_path, ["in+se2"], [0, 1], MODULES)
    rows = list(csv.DictReader((tmp_path / "losses.csv").open()))
    assert [(row["variant"], row["seed"]) for row in rows] == [("in+se2", "0"), ("in+se2", "1")]
    losses = [float(row["style_loss"]) for row in rows]
    assert entry["style_loss"] == pytest.approx(np.mean(losses))
    assert entry["style_loss_std"] == pytest.approx(np.std(losses, ddof=1))
    assert int(rows[0]["parameters"]) == entry["parameters"]
    assert (tmp_path / "in_se2" / "seed_1" / "report.html").is_file()
    for name in ("curves.png", "grid.png"):
        assert Image.open(tmp_path / name).size[0] > 200
    assert "2 seeds" in (tmp_path / "summary.md").read_text()


def test_one_seed_has_no_deviation():
    row = {"variant": "in", "seed": 0, "parameters": 7} | dict.fromkeys(("loss", *LOSSES), 2.0)
    summary = comparison._summary("in", [row])
    assert summary["style_loss_std"] is None
    text = comparison._markdown([summary], 1)
    assert "±" not in text
    assert "one seed" in text


def test_two_at_work_in_one_folder_are_refused(tmp_path):
    with (
        folder_lock("workdir", tmp_path),
        pytest.raises(ValueError, match="`workdir` is in use by process"),
    ):
        compare_stylizers(tiny_recipe().to_dict(), tmp_path)


def test_smoothing_is_a_centred_mean():
    np.testing.assert_allclose(
        smoothed(np.array([1.0, 2, 6, 3, 8]), 3), [1.5, 3, 11 / 3, 17 / 3, 5.5]
    )


@pytest.mark.parametrize(
    ("variants", "seeds", "message"),
    [
        (["bn", "bn"], [0], "`variants` must be different"),
        (["ln"], [0], "`variants` must be 'bn' or 'in', alone or with a module"),
        (["bn+"], [0], "`variants` must be 'bn' or 'in'"),
        (["bn"], [], "`seeds` must be different and at least one"),
    ],
)
def test_what_is_refused(variants, seeds, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        compare_stylizers(tiny_recipe(), tmp_path / "out", variants, seeds)
    assert not (tmp_path / "out").exists()
