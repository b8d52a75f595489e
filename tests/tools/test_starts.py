"""The study of starts: what is trained, its tables, and going on."""

import numpy as np
import pytest

from srm_keras.support.files import read_csv, read_json
from tools.studies import starts as study

SCORES = {("none", 0): 0.5, ("se", 0): 0.3, ("se", 1): 0.35, ("se+", 0): 0.6, ("se+", 1): 0.7}


@pytest.fixture
def trained(monkeypatch):
    """Trainings in name only; that of plain with seed 1 dies."""
    recipes = []

    def train(recipe, workdir):
        recipes.append(recipe)
        spec = recipe.to_dict()["recalibration"]
        name = "none" if spec is None else "se" if spec == "se" else "se+"
        accuracy = SCORES[name, recipe.seed]
        return {"last": {"splits": {"test": {"accuracy": accuracy}}}, "seconds": 1.23}

    monkeypatch.setattr(study, "train", train)
    return recipes


def test_an_interrupted_study_goes_on_and_tells_the_difference(trained, tmp_path):
    with pytest.raises(KeyError):
        list(study.starts(tmp_path, "fashion_mnist", [24], ["se"], [0, 1]))
    assert [r["start"] for r in read_csv(tmp_path / "fashion_mnist.csv")] == [
        "published",
        "published",
        "neutral",
    ]
    rest = list(study.starts(tmp_path, "fashion_mnist", [24], ["se"], [0]))
    assert len(rest) == 3
    assert len(trained) == 4
    SCORES["none", 1] = 0.4
    rows = list(study.starts(tmp_path, "fashion_mnist", [24], ["se"], [0, 1]))
    assert len(rows) == len(read_json(tmp_path / "fashion_mnist.json")["rows"]) == 6
    assert len(trained) == 7
    page = (tmp_path / "fashion_mnist.md").read_text()
    # 0.6 - 0.3 and 0.7 - 0.35: t(0.975, 1 degree of freedom) is 12.706, half of their gap 0.025.
    half = 12.7062 * 0.025
    line = f"| se | 0.325 ± 0.035 | 0.650 ± 0.071 | +0.325 [{0.325 - half:+.3f}, "
    assert line in page
    assert "| plain | 0.450 ± 0.071 |  |  |" in page
    assert (tmp_path / "fashion_mnist.png").stat().st_size > 10_000


def test_every_training_is_the_recipe_with_the_start_that_its_row_says():
    published = study.recipe_of("texture_shapes", 600, "cbam", "published", 3).to_dict()
    neutral = study.recipe_of("texture_shapes", 600, "cbam", "neutral", 3).to_dict()
    assert published.pop("recalibration") == "cbam"
    assert neutral.pop("recalibration") == {"name": "cbam", "gain": 4.0, "neutral": True}
    assert published == neutral
    assert (neutral["steps"], neutral["eval_every"], neutral["seed"]) == (600, 600, 3)
    assert neutral["model"]["options"]["depth"] == 8


def test_what_a_neutral_start_would_not_change_is_trained_once():
    places = list(study.keys([600], ["gct", "simam", "srm"], [0]))
    assert [(place["module"], place["start"]) for place in places] == [
        ("none", "published"),
        ("gct", "published"),
        ("simam", "published"),
        ("srm", "published"),
        ("srm", "neutral"),
    ]


def test_the_interval_is_students():
    # Student's own first example: extra hours of sleep with ten patients.
    sleep = np.array([1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4])
    assert study.interval(sleep) == pytest.approx((0.8976, 3.7624), abs=1e-4)
