import csv

import numpy as np
import pytest

from srm_keras.data import DatasetInfo, Examples
from srm_keras.training.evaluation import Predictions, by_domain


def predictions(domains=None, groups=None):
    logits = np.log(np.array([[0.7, 0.3], [0.4, 0.6], [0.9, 0.1], [1.0, 1e-40]], "float64"))
    labels = np.array([0, 1, 1, 1], "int32")
    info = DatasetInfo("mine", "test", 4, 2, ("a", "b"), (2, 2, 3))
    images = np.zeros((4, 2, 2, 3), "uint8")
    return Predictions(Examples(images, labels, info, domains, groups), 5 + logits)


def test_scores_are_accuracy_and_mean_cross_entropy():
    scores = predictions().scores()
    assert scores["accuracy"] == 0.5
    # The last probability is 0 in float32; the logits know how wrong it is.
    expected = -(np.log(0.7) + np.log(0.6) + np.log(0.1) + np.log(1e-40)) / 4
    assert scores["loss"] == pytest.approx(expected, rel=1e-6)
    assert "domains" not in scores


def test_scores_by_domain():
    domains = np.array(["y", "x", "y", "x"])
    assert predictions(domains).scores()["domains"] == {
        "x": {"accuracy": 0.5, "examples": 2},
        "y": {"accuracy": 0.5, "examples": 2},
    }
    right = np.array([True, True, True, False])
    assert by_domain(right, np.array(["b", "a", "a", "a"]))["a"]["accuracy"] == 2 / 3


def test_what_is_saved_says_who_was_right(tmp_path):
    groups, domains = np.array(["g", "g", "h", "h"]), np.array(["y", "x", "y", "x"])
    predictions(domains, groups).save(tmp_path / "p.csv")
    with (tmp_path / "p.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert rows[2] == {"label": "1", "predicted": "0", "domain": "y", "group": "h"}
    assert [row["label"] == row["predicted"] for row in rows] == [True, True, False, False]
