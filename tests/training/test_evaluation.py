import csv

import keras
import numpy as np
import pytest
from sklearn import metrics

from srm_keras.data import DatasetInfo, Examples
from srm_keras.training.confusion import NO_ANSWER
from srm_keras.training.evaluation import (
    Predictions,
    label_ranks,
    mean_over_domains,
    predict,
    top5_accuracy,
)
from srm_keras.training.inputs import load_inputs
from tests.support.tiny_training import tiny_network, tiny_recipe


def examples(labels, classes, domains=None, groups=None):
    names = tuple(f"class {number}" for number in range(classes))
    info = DatasetInfo("mine", "test", len(labels), classes, names, (2, 2, 3))
    images = np.zeros((len(labels), 2, 2, 3), "uint8")
    return Examples(images, np.array(labels, "int32"), info, domains, groups)


def predictions(domains=None, groups=None):
    logits = 5 + np.log(np.array([[0.7, 0.3], [0.4, 0.6], [0.9, 0.1], [1.0, 1e-40]], "float64"))
    return Predictions.of(examples([0, 1, 1, 1], 2, domains, groups), [logits[:3], logits[3:]])


def test_scores_are_accuracy_and_mean_cross_entropy():
    found = predictions()
    scores = found.scores()
    assert scores["accuracy"] == 0.5
    # The last probability is 0 in float32; the logits know how wrong it is.
    expected = -(np.log(0.7) + np.log(0.6) + np.log(0.1) + np.log(1e-40)) / 4
    assert scores["loss"] == pytest.approx(expected, rel=1e-6)
    assert scores.keys() == {"accuracy", "loss", "classes"}
    np.testing.assert_allclose(found.confidences, [0.7, 0.6, 0.9, 1.0])


def test_scores_by_domain_and_their_mean():
    domains = np.array(["y", "x", "y", "y"])
    scores = predictions(domains).scores()
    assert scores["domains"] == {
        "x": {"accuracy": 1.0, "examples": 1},
        "y": {"accuracy": 1 / 3, "examples": 3},
    }
    assert mean_over_domains(scores) == pytest.approx(2 / 3)
    assert mean_over_domains(scores, "top5_accuracy") is None
    assert mean_over_domains({"accuracy": 0.5}) is None


def test_scores_of_many_classes_are_those_of_scikit_learn():
    """Class 3 is absent: it has no accuracy, neither 0 nor NaN."""
    rng = np.random.default_rng(0)
    labels = rng.choice([0, 1, 2, 4, 5, 6, 7, 8], 500)
    logits = rng.normal(size=(500, 9)).astype("float32")
    logits[np.arange(500), labels] += 1
    domains = rng.choice(["a", "b"], 500)
    found = Predictions.of(examples(labels, 9, domains), [logits[:200], logits[200:]])
    scores, answers = found.scores(), logits.argmax(axis=1)
    every = range(9)

    def top5(chosen):
        return metrics.top_k_accuracy_score(labels[chosen], logits[chosen], k=5, labels=every)

    assert scores["accuracy"] == metrics.accuracy_score(labels, answers)
    assert scores["top5_accuracy"] == pytest.approx(top5(slice(None)))
    for name, values in scores["domains"].items():
        assert values["top5_accuracy"] == pytest.approx(top5(domains == name))
    counts = metrics.confusion_matrix(labels, answers, labels=every)
    assert found.confusion.dtype == np.int64
    np.testing.assert_array_equal(found.confusion, np.pad(counts, ((0, 0), (0, 1))))
    recalls = metrics.recall_score(labels, answers, labels=every, average=None, zero_division=0)
    by_class = list(scores["classes"].values())
    assert by_class.pop(3) == {"accuracy": None, "examples": 0}
    np.testing.assert_allclose([one["accuracy"] for one in by_class], np.delete(recalls, 3))
    assert sum(one["examples"] for one in by_class) == 500
    assert found.confusion.trace() / found.confusion.sum() == scores["accuracy"]


def test_of_equal_scores_the_lower_class_comes_first():
    """So that five classes, no more, are the top five, and the first is what `argmax` says."""
    rng = np.random.default_rng(0)
    logits = rng.integers(0, 3, (300, 8)).astype("float32")
    logits[rng.random(logits.shape) < 0.1] = -np.inf
    logits[0], logits[1] = 1.0, -np.inf
    labels = rng.integers(0, 8, 300)
    order = np.argsort(-logits, axis=1, kind="stable")
    expected = 1 + (order == labels[:, None]).argmax(axis=1)
    ranks = keras.ops.convert_to_numpy(label_ranks(labels, logits))
    np.testing.assert_array_equal(ranks, expected)
    np.testing.assert_array_equal(ranks == 1, logits.argmax(axis=1) == labels)
    constant = keras.ops.convert_to_numpy(label_ranks(np.arange(8), np.ones((8, 8))))
    assert np.mean(constant <= 5) == 5 / 8


@pytest.mark.parametrize("one_hot", [False, True])
def test_the_metric_is_the_score(one_hot):
    """Over batches of unequal sizes, one of which has a NaN."""
    rng = np.random.default_rng(1)
    logits = rng.integers(0, 6, (100, 7)).astype("float32")
    logits[3, 2] = np.nan
    labels = rng.integers(0, 7, 100).astype("int32")
    metric = top5_accuracy(one_hot)
    parts = [slice(0, 64), slice(64, 96), slice(96, 100)]
    for part in parts:
        metric.update_state(np.eye(7)[labels[part]] if one_hot else labels[part], logits[part])
    found = Predictions.of(examples(labels, 7), [logits[part] for part in parts])
    assert 0.5 < found.scores()["top5_accuracy"] < 1
    assert float(metric.result()) == pytest.approx(found.scores()["top5_accuracy"])


@pytest.mark.parametrize("place", [0, 4, 6])
def test_a_nan_is_never_right(place):
    """Wherever it stands, and whatever the class."""
    logits = np.zeros((7, 7), "float32")
    logits[:, 0] = np.inf if place else 0
    logits[:, place] = np.nan
    found = Predictions.of(examples(range(7), 7), [logits])
    scores = found.scores()
    assert (scores["accuracy"], scores["top5_accuracy"]) == (0, 0)
    assert set(found.classes) == {NO_ANSWER}
    assert found.confusion[:, :-1].sum() == 0
    assert found.confusion[:, -1].tolist() == [1] * 7
    metric = top5_accuracy(False)
    metric.update_state(np.arange(7), logits)
    assert float(metric.result()) == 0


@pytest.mark.parametrize("batches", [[], [np.ones((3, 2))], [np.ones((3, 2)), np.ones((2, 2))]])
def test_more_or_fewer_logits_than_examples_are_refused(batches):
    with pytest.raises(ValueError, match=r"each of 4 examples once. Received: [035]"):
        Predictions.of(examples([0, 1, 1, 1], 2), batches)


def test_what_is_saved_says_who_was_right(tmp_path):
    groups, domains = np.array(["g", "g", "h", "h"]), np.array(["y", "x", "y", "x"])
    predictions(domains, groups).save(tmp_path / "p.csv")
    with (tmp_path / "p.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert rows[2] == {"label": "1", "predicted": "0", "domain": "y", "group": "h"}
    assert [row["label"] == row["predicted"] for row in rows] == [True, True, False, False]
    logits = np.array([[5, 4, 3, 2, 1, 0], [np.nan, 1, 1, 1, 1, 1]])
    Predictions.of(examples([2, 0], 6), [logits]).save(tmp_path / "p.csv")
    saved = (tmp_path / "p.csv").read_text().split()
    assert saved == ["label,predicted,rank", "2,0,3", "0,-1,7"]


def test_the_size_of_the_batches_changes_nothing(tmp_path):
    """24 examples in batches of 24, and of 7 with 3 in the last."""
    recipe = tiny_recipe(label_smoothing=0.1)
    inputs = load_inputs(recipe)
    tiny_network(recipe, inputs.image_shape, 10).save(tmp_path / "n.keras")
    images = np.concatenate([np.asarray(batch) for batch, _ in inputs.evaluation("test")])
    logs = np.log(keras.saving.load_model(tmp_path / "n.keras").predict(images, verbose=0))
    for size in (24, 7):
        inputs.recipe.eval_batch_size = size
        found = predict(tmp_path / "n.keras", inputs)["test"]
        np.testing.assert_array_equal(found.classes, logs.argmax(axis=1))
        labels = inputs.evals["test"].labels
        np.testing.assert_allclose(found.losses, -logs[np.arange(24), labels], rtol=1e-4)
        np.testing.assert_array_equal(
            found.confusion[:, :-1],
            metrics.confusion_matrix(labels, logs.argmax(axis=1), labels=range(10)),
        )
