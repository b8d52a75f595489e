import csv
import functools
import os
import statistics
from unittest import mock

import numpy as np
import pytest

from srm_keras.data import registry
from srm_keras.recipes import dtd
from srm_keras.support.files import folder_lock, read_json, write_csv
from srm_keras.training import cross_validation
from srm_keras.training.cross_validation import cross_validate
from srm_keras.training.statistics import Answers, class_rows, domain_rows
from tests.support.tiny_training import LOOP, Killed, sketches, tiny_network, tiny_recipe

MODULES = {"none": None, "srm": "srm"}


def recipe():
    return tiny_recipe(**{"steps": 2, "eval_every": 2, "data.fold_by": "group"})


def rows(path):
    with path.open() as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two folds of two modules, stopped within the third run and begun again.

    Each time every split is loaded once.
    """
    folder = tmp_path_factory.mktemp("folds")
    trained, loaded = [], []
    load = registry.SOURCES["texture_shapes"]

    @functools.wraps(load)
    def counted(split, **options):
        loaded.append(split)
        return load(split, **options)

    def train(recipe, workdir):
        if len(trained) == 2:
            trained.append("died")
            raise Killed
        trained.append((recipe.recalibration, recipe.data.fold))
        return LOOP.train(recipe, workdir)

    with (
        mock.patch.object(LOOP, "build_model", tiny_network),
        mock.patch.object(cross_validation, "train", train),
        mock.patch.dict(registry.SOURCES, texture_shapes=counted),
        sketches(),
    ):
        with pytest.raises(Killed):
            cross_validate(recipe(), folder, MODULES, folds=2)
        cross_validate(recipe().to_dict(), folder, MODULES, folds=2)  # a mapping, this time
    assert trained[:3] == [(None, 0), ("srm", 0), "died"]
    assert loaded == ["train", "test"] * 2
    return folder


@pytest.mark.slow
def test_folds_are_scored_by_runs_that_stop_early_and_choose_within_the_fold(tmp_path):
    changed = recipe()
    changed.update(steps=6)
    changed.early_stopping.update(patience=1, min_delta=9.0)
    changed.data.update(fold_by="label", validation_fraction=0.25)
    with mock.patch.object(LOOP, "build_model", tiny_network), sketches():
        cross_validate(changed, tmp_path, {"none": None}, folds=2)
    for number, run in enumerate(rows(tmp_path / "runs.csv")):
        folder = tmp_path / "runs" / f"none_fold{number}_seed0"
        result = read_json(folder / "result.json")
        assert result["stopped_early"]["step"] == 4
        splits = result["last"]["splits"]
        assert list(splits) == ["validation", "held_out", "test"]
        answers = rows(folder / "predictions.csv")
        right = statistics.mean(row["label"] == row["predicted"] for row in answers)
        assert float(run["held_out"]) == splits["held_out"]["accuracy"] == pytest.approx(right)
        assert len(answers) == 20
    assert rows(tmp_path / "summary.csv")[0]["examples"] == "40"


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


def test_domains_and_classes_are_pooled_over_the_folds(folder):
    predictions = [
        row
        for fold in (0, 1)
        for row in rows(folder / "runs" / f"srm_fold{fold}_seed0" / "predictions.csv")
    ]
    names = read_json(folder / "runs" / "srm_fold0_seed0" / "classes.json")
    for table, column, names_of in (("domain", "domain", None), ("class", "label", names)):
        found = rows(folder / f"{table}{'s' if names_of is None else 'es'}.csv")
        assert sum(int(row["examples"]) for row in found) == 40
        for number, row in enumerate(found):
            value = str(number) if names_of else row["domain"]
            mine = [p for p in predictions if p[column] == value]
            assert int(row["examples"]) == len(mine)
            right = [p["label"] == p["predicted"] for p in mine]
            top5 = [int(p["rank"]) <= 5 for p in mine]
            for name, hits in (("srm", right), ("srm_top5", top5)):
                expected = pytest.approx(statistics.mean(hits)) if hits else None
                assert (float(row[name]) if row[name] else None) == expected
    assert [row["class"] for row in found] == names


def test_the_confusion_of_a_module_is_that_of_all_its_folds(folder):
    parts = [
        rows(folder / "runs" / f"srm_fold{fold}_seed0" / "confusion" / "held_out.csv")
        for fold in (0, 1)
    ]
    summed = rows(folder / "confusion" / "srm.csv")
    for total, *of_folds in zip(summed, *parts, strict=True):
        name = total.pop("true / predicted")
        assert {one.pop("true / predicted") for one in of_folds} == {name}
        for other, count in total.items():
            assert int(count) == sum(int(one[other]) for one in of_folds)
    files = {path.name for path in (folder / "confusion").iterdir()}
    assert files == {"none.csv", "none.png", "srm.csv", "srm.png"}


def test_the_mean_over_domains_is_unweighted_in_each_fold(folder):
    """The paper's "Avg.", beside the pooled accuracy; with its deviation over the folds."""
    means, pooled = [], []
    for fold in (0, 1):
        path = folder / "runs" / f"srm_fold{fold}_seed0"
        domains = read_json(path / "result.json")["last"]["splits"]["held_out"]["domains"]
        means.append(statistics.mean(one["accuracy"] for one in domains.values()))
        right = sum(one["accuracy"] * one["examples"] for one in domains.values())
        pooled.append(right / sum(one["examples"] for one in domains.values()))
    summary = {row["recalibration"]: row for row in rows(folder / "summary.csv")}["srm"]
    for name, values in (("held_out_over_domains", means), ("held_out", pooled)):
        assert float(summary[f"{name}_mean"]) == pytest.approx(statistics.mean(values))
        assert float(summary[f"{name}_std"]) == pytest.approx(statistics.stdev(values))
    runs = [row for row in rows(folder / "runs.csv") if row["recalibration"] == "srm"]
    assert [float(run["held_out_over_domains"]) for run in runs] == pytest.approx(means)
    assert all(float(run["held_out_top5"]) >= float(run["held_out"]) for run in runs)


def answers(right, fold, domains, ranks=True):
    """Of examples of class 0 of two, which are taken for class 1 where they are wrong."""
    wrong = 1 - np.array(right)
    groups = np.arange(len(right))
    return Answers(
        *(wrong == 0, groups, fold),
        labels=0 * wrong,
        predicted=wrong,
        ranks=1 + 5 * wrong if ranks else None,
        domains=np.array(domains),
    )


def test_an_example_counts_once_however_many_seeds_there_are():
    """Fold 0: 3 of a and 1 of b, seeds right in 1/2 and 1 of a; fold 1: 1 of a, one seed."""
    held = {
        ("srm", 0, 0): answers([1, 1, 0, 0], 0, ["a", "a", "a", "b"]),
        ("srm", 0, 1): answers([1, 0, 0, 1], 0, ["a", "a", "a", "b"]),
        ("srm", 1, 0): answers([1], 1, ["a"]),
        ("none", 0, 0): answers([1, 1, 1, 0], 0, ["a", "a", "a", "b"], ranks=False),
    }
    a, b = domain_rows(held)
    assert (a["domain"], a["examples"], b["domain"], b["examples"]) == ("a", 4, "b", 1)
    assert a["srm"] == a["srm_top5"] == pytest.approx((1 + 0.5 + 0 + 1) / 4)
    assert (b["srm"], a["none"], b["none"]) == (0.5, 1, 0)
    assert "none_top5" not in a
    mine, absent = class_rows(held, ["x", "y"])
    assert (mine["class"], mine["examples"]) == ("x", 5)
    assert mine["srm"] == pytest.approx((1 + 0.5 + 0 + 0.5 + 1) / 5)
    assert absent == {"class": "y", "examples": 0}


def test_runs_of_an_earlier_version_stand_beside_new_ones(tmp_path):
    """Which recorded neither top-5 nor ranks: their columns stay empty."""
    trials = cross_validation._trials(recipe(), MODULES, 2, [0])[:2]
    finished = []
    for trial, new in zip(trials, (False, True), strict=True):
        score = {"accuracy": 0.5, "domains": {"a": {"accuracy": 0.5, "examples": 2}}}
        score |= {"top5_accuracy": 1.0} if new else {}
        result = {"last": {"splits": {"held_out": score}}, "parameters": {"trainable": 9}}
        finished.append((trial, result | {"seconds": 1.0}))
        path = tmp_path / trial.folder
        columns = {"label": [0, 1], "predicted": [0, 0]} | ({"rank": [1, 2]} if new else {})
        write_csv(
            path / "predictions.csv",
            [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)],
        )
        (path / "classes.json").write_text('["x", "y", "z", "u", "v", "w"]')
    cross_validation._write(tmp_path, finished)
    assert [row["held_out_top5"] for row in rows(tmp_path / "runs.csv")] == ["", "1.0"]
    assert [row["held_out_top5_mean"] for row in rows(tmp_path / "summary.csv")] == ["", "1.0"]
    assert [row["none"] for row in rows(tmp_path / "classes.csv")] == ["1.0", "0.0", *[""] * 4]
    text = (tmp_path / "summary.md").read_text()
    top5 = text[text.index("Top-5 accuracy") :]
    assert "| none | 1 | 9 | – |" in top5
    assert "| srm | 1 | 9 | 1.0000 |" in top5


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
