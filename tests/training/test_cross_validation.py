import csv
import os
import statistics
from unittest import mock

import pytest

from srm_keras.recipes import dtd
from srm_keras.support.files import folder_lock, read_json
from srm_keras.training import cross_validation
from srm_keras.training.cross_validation import cross_validate
from tests.support.tiny_training import LOOP, Killed, tiny_network, tiny_recipe

MODULES = {"none": None, "srm": "srm"}


def recipe():
    return tiny_recipe(**{"steps": 2, "eval_every": 2, "data.fold_by": "group"})


def rows(path):
    with path.open() as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two folds of two modules, stopped within the third run and begun again."""
    folder = tmp_path_factory.mktemp("folds")
    trained = []

    def train(recipe, workdir):
        if len(trained) == 2:
            trained.append("died")
            raise Killed
        trained.append((recipe.recalibration, recipe.data.fold))
        return LOOP.train(recipe, workdir)

    with (
        mock.patch.object(LOOP, "build_model", tiny_network),
        mock.patch.object(cross_validation, "train", train),
    ):
        with pytest.raises(Killed):
            cross_validate(recipe(), folder, MODULES, folds=2)
        cross_validate(recipe().to_dict(), folder, MODULES, folds=2)  # a mapping, this time
    assert trained[:3] == [(None, 0), ("srm", 0), "died"]
    return folder


def test_two_at_work_in_one_folder_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(cross_validation, "train", mock.Mock(side_effect=AssertionError))
    (tmp_path / ".summary.17.csv").touch()
    with (
        folder_lock("workdir", tmp_path),
        pytest.raises(ValueError, match=f"in use by process {os.getpid()}"),
    ):
        cross_validate(recipe(), tmp_path, MODULES, folds=2)
    with pytest.raises(AssertionError):
        cross_validate(recipe(), tmp_path, MODULES, folds=2)
    assert list(tmp_path.iterdir()) == []


def test_every_module_is_trained_on_every_fold_once(folder):
    runs = rows(folder / "runs.csv")
    assert [(run["fold"], run["recalibration"]) for run in runs] == [
        ("0", "none"),
        ("0", "srm"),
        ("1", "none"),
        ("1", "srm"),
    ]
    assert len(list((folder / "runs").iterdir())) == 4


def test_folds_hold_out_every_example_once_and_groups_stay_together(folder):
    held_out = [
        rows(folder / "runs" / f"none_fold{fold}_seed0" / "predictions.csv") for fold in (0, 1)
    ]
    assert sum(map(len, held_out)) == 40
    groups = [{row["group"] for row in part} for part in held_out]
    assert groups[0].isdisjoint(groups[1])


def test_the_summary_is_the_mean_and_the_sample_standard_deviation(folder):
    runs = [run for run in rows(folder / "runs.csv") if run["recalibration"] == "srm"]
    accuracies = [float(run["held_out"]) for run in runs]
    summary = {row["recalibration"]: row for row in rows(folder / "summary.csv")}["srm"]
    assert float(summary["held_out_mean"]) == pytest.approx(statistics.mean(accuracies))
    assert float(summary["held_out_std"]) == pytest.approx(statistics.stdev(accuracies))


def test_modules_are_compared_on_the_same_examples(folder):
    (paired,) = rows(folder / "paired.csv")
    difference = 0
    for fold in (0, 1):
        ours, theirs = (
            rows(folder / "runs" / f"{name}_fold{fold}_seed0" / "predictions.csv")
            for name in ("srm", "none")
        )
        difference += sum(row["label"] == row["predicted"] for row in ours)
        difference -= sum(row["label"] == row["predicted"] for row in theirs)
    assert (paired["recalibration"], paired["against"], paired["runs"]) == ("srm", "none", "2")
    assert float(paired["difference"]) == pytest.approx(difference / 40)
    assert float(paired["low"]) <= difference / 40 <= float(paired["high"])
    assert (float(paired["level"]), int(paired["examples"])) == (0.95, 40)
    assert [row["examples"] for row in rows(folder / "summary.csv")] == ["40", "40"]


def test_domains_are_pooled_over_the_folds(folder):
    domains = {row["domain"]: row for row in rows(folder / "domains.csv")}
    assert sum(int(row["examples"]) for row in domains.values()) == 40
    predictions = [
        row
        for fold in (0, 1)
        for row in rows(folder / "runs" / f"srm_fold{fold}_seed0" / "predictions.csv")
    ]
    for name, row in domains.items():
        right = [p["label"] == p["predicted"] for p in predictions if p["domain"] == name]
        assert float(row["srm"]) == pytest.approx(statistics.mean(right))


def test_an_example_counts_once_however_many_seeds_there_are():
    trials = cross_validation._trials(recipe(), MODULES, 2, [0, 1])
    examples = {0: 30, 1: 10}
    accuracies = {0: 0.5, 1: 0.7}  # of the seeds

    def result(trial):
        accuracy = accuracies[trial.seed] + 0.2 * trial.fold
        domain = {"accuracy": accuracy, "examples": examples[trial.fold]}
        return {"last": {"splits": {"held_out": {"domains": {"a": domain}}}}}

    (row,) = cross_validation._domain_rows([(trial, result(trial)) for trial in trials])
    assert (row["domain"], row["examples"]) == ("a", 40)
    assert row["srm"] == row["none"] == pytest.approx((0.6 * 30 + 0.8 * 10) / 40)


def test_markdown_and_json_hold_the_same(folder):
    text = (folder / "summary.md").read_text()
    assert "| srm | 2 |" in text
    assert "| srm | 2 | 40 |" in text
    assert "difference to none [95% interval]" in text
    assert len(read_json(folder / "summary.json")["runs"]) == 4


def test_what_the_data_set_calls_a_fold_is_used(tmp_path):
    made = recipe()
    made.data.options.fold = 1
    trials = cross_validation._trials(made, MODULES, 3, [0])
    assert [trial.recipe.data.options.fold for trial in trials[::2]] == [1, 2, 3]
    assert {trial.recipe.data.folds for trial in trials} == {0}


def test_a_recipe_with_folds_of_its_own_means_those():
    """DTD's: the split "all" is the same in each of the data set's partitions."""
    trials = cross_validation._trials(dtd.get_config(), MODULES, 5, [0])
    assert [trial.recipe.data.fold for trial in trials[::2]] == [0, 1, 2, 3, 4]
    assert {trial.recipe.data.folds for trial in trials} == {5}
    assert {trial.recipe.data.options.fold for trial in trials} == {1}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"folds": 1}, "`folds` must be at least 2"),
        ({"recalibrations": {}}, "`recalibrations` and `seeds` must not be empty"),
        ({"seeds": ()}, "`recalibrations` and `seeds` must not be empty"),
    ],
)
def test_wrong_arguments_fail_before_any_training(arguments, message, tmp_path):
    given = {"recalibrations": MODULES, "folds": 2, **arguments}
    with pytest.raises(ValueError, match=message):
        cross_validate(recipe(), tmp_path, **given)
    assert list(tmp_path.iterdir()) == []
