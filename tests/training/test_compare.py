import csv
import json
import re

import numpy as np
import pytest
from PIL import Image

from srm_keras.training.compare import compare_runs, comparison_text

HEADER = "epoch,step,lr,loss,accuracy,val_loss,val_accuracy\n"


def make_run(folder, recalibration, seed, accuracies, unseen=None, steps=30, **fields):
    """Writes the files of a run by hand."""
    folder.mkdir()
    recipe = {
        "seed": seed,
        "recalibration": recalibration,
        "steps": steps,
        "data": {"name": "d"},
        "model": {"name": "m"},
        **fields,
    }
    (folder / "recipe.json").write_text(json.dumps(recipe))
    lines = [f"{n},{n * 10},0.1,1.5,0.5,1.6,{a}\n" for n, a in enumerate(accuracies, 1)]
    (folder / "metrics.csv").write_text(HEADER + "".join(lines))
    if unseen is not None:
        splits = {"test": {"accuracy": accuracies[-1]}, "unseen": {"accuracy": unseen}}
        result = {"parameters": {"trainable": 77}, "seconds": 9.5, "last": {"splits": splits}}
        (folder / "result.json").write_text(json.dumps(result))
    return folder


def test_table_and_files(tmp_path):
    """Also of runs whose recipes differ in what changes no result."""
    runs = [
        make_run(tmp_path / "a", "srm", 0, [0.1, 0.7, 0.6], unseen=0.5),
        make_run(tmp_path / "b", None, 0, [0.2, 0.4], keep_checkpoints=5),
        make_run(tmp_path / "c", "srm", 1, [0.1, 0.2, 0.8], unseen=0.3, eval_batch_size=7),
    ]
    table = {row["recalibration"]: row for row in compare_runs(runs, tmp_path / "out")}
    srm = table["srm"]
    assert srm["runs"] == 2
    assert srm["last_accuracy_mean"] == pytest.approx(0.7)
    assert srm["last_accuracy_std"] == pytest.approx(np.std([0.6, 0.8], ddof=1))
    assert srm["best_accuracy_mean"] == pytest.approx(0.75)
    assert srm["unseen_accuracy_mean"] == pytest.approx(0.4)
    assert table["none"]["runs"] == 1
    assert table["none"]["last_accuracy_mean"] == 0.4
    assert table["none"]["last_accuracy_std"] is None
    header, _, *lines = comparison_text(list(table.values())).splitlines()
    assert header.split() == ["recalibration", "runs", "last", "best", "test", "unseen"]
    same, other = "0.7000 ± 0.1414", "0.7500 ± 0.0707"
    assert [re.split("  +", line) for line in lines] == [
        ["srm", "2", same, other, same, "0.4000 ± 0.1414"],
        ["none", "1", "0.4000", "0.4000", "–", "–"],
    ]
    with (tmp_path / "out" / "runs.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["recalibration"], row["seed"], row["steps"]) for row in rows] == [
        ("srm", "0", "30"),
        ("srm", "1", "30"),
        ("none", "0", "20"),
    ]
    assert rows[0]["trainable_parameters"] == "77"
    saved = json.loads((tmp_path / "out" / "compare.json").read_text())
    assert saved["groups"] == list(table.values())
    Image.open(tmp_path / "out" / "compare.png").verify()


def test_top_5_and_classes_of_the_runs_that_recorded_them(tmp_path):
    """`old` did not; class b is in the data of one run alone, c in none's."""
    names = ("old", "x", "y")
    runs = [make_run(tmp_path / name, "srm", 0, [0.4, 0.2], unseen=0.3) for name in names]
    runs.append(make_run(tmp_path / "plain", None, 0, [0.4], unseen=0.3))
    for folder, top5, b in ((runs[1], 0.75, None), (runs[2], 0.25, 0.5)):
        header, *lines = (folder / "metrics.csv").read_text().split()
        lines = [f"{header},val_top5_accuracy", f"{lines[0]},0.5", f"{lines[1]},1"]
        (folder / "metrics.csv").write_text("\n".join(lines) + "\n")
        result = json.loads((folder / "result.json").read_text())
        accuracies = {"a": 0.25 + top5, "b": b, "c": None}
        classes = {name: {"accuracy": value, "examples": 4} for name, value in accuracies.items()}
        result["last"]["splits"]["test"] |= {"top5_accuracy": top5, "classes": classes}
        (folder / "result.json").write_text(json.dumps(result))
    srm, plain = compare_runs(runs, tmp_path / "out")
    assert (srm["runs"], srm["test_top5_accuracy_mean"]) == (3, 0.5)
    assert (srm["last_top5_accuracy_mean"], srm["best_top5_accuracy_mean"]) == (1, 0.5)
    assert "test_top5_accuracy_mean" not in plain
    header, _, of_srm, of_plain = comparison_text([srm, plain]).split("Top-5:\n")[1].splitlines()
    assert header.split() == ["recalibration", "runs", "last", "best", "test"]
    assert re.split("  +", of_srm)[3:] == ["0.5000 ± 0.0000", "0.5000 ± 0.3536"]
    assert of_plain.split()[2:] == ["–"] * 3
    with (tmp_path / "out" / "classes.csv").open() as file:
        assert list(csv.DictReader(file)) == [
            {"class": "a", "srm": "0.75", "none": ""},
            {"class": "b", "srm": "0.5", "none": ""},
            {"class": "c", "srm": "", "none": ""},
        ]


def test_fine_tuned_runs_are_groups_of_their_own(tmp_path):
    began = {"init": "runs/shapes", "freeze": ["conv1", "conv2"]}
    began["learning_rate"] = {"multipliers": {"backbone": 0.1}}
    nothing = {"init": None, "freeze": None, "learning_rate": {"multipliers": None}}
    runs = [
        make_run(tmp_path / "old", "srm", 0, [0.1]),  # from before there were these fields
        make_run(tmp_path / "new", "srm", 1, [0.3], **nothing),
        make_run(tmp_path / "tuned", "srm", 0, [0.7], **began),
    ]
    table = {row["recalibration"]: row for row in compare_runs(runs, tmp_path / "out")}
    tuned = "srm, init=shapes, freeze=conv1+conv2, backbone×0.1"
    assert {name: row["runs"] for name, row in table.items()} == {"srm": 2, tuned: 1}
    assert table[tuned]["last_accuracy_mean"] == 0.7


def test_a_neutral_start_is_a_group_of_its_own_where_there_are_modules(tmp_path):
    begun = {"model": {"name": "m", "neutral": True}}
    runs = [
        make_run(tmp_path / "old", "srm", 0, [0.1]),
        make_run(tmp_path / "as_published", "srm", 1, [0.3], model={"name": "m", "neutral": False}),
        make_run(tmp_path / "neutral", "srm", 0, [0.7], **begun),
        make_run(tmp_path / "plain", None, 0, [0.5], **begun),
    ]
    table = compare_runs(runs, tmp_path / "out")
    rows = {row["recalibration"]: row["runs"] for row in table}
    assert rows == {"srm": 2, "srm, neutral start": 1, "none": 1}


def test_runs_of_another_recipe_are_refused(tmp_path):
    runs = [
        make_run(tmp_path / "a", "srm", 0, [0.1]),
        make_run(tmp_path / "b", "se", 0, [0.1], steps=60),
    ]
    with pytest.raises(ValueError, match=r"seed, recal.*, distillation only.*steps=60 in"):
        compare_runs(runs, tmp_path / "out")
    folds = make_run(tmp_path / "c", "srm", 0, [0.1], data={"name": "d", "folds": 5})
    with pytest.raises(ValueError, match=r"data.folds=None in"):
        compare_runs([runs[0], folds], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_no_runs_and_no_run_folder(tmp_path):
    with pytest.raises(ValueError, match=r"at least one run folder. Received: none"):
        compare_runs([], tmp_path / "out")
    with pytest.raises(ValueError, match=r"must be run folders.*which lacks recipe.json"):
        compare_runs([tmp_path], tmp_path / "out")


def test_a_run_without_an_evaluation_is_refused(tmp_path):
    run = make_run(tmp_path / "a", "srm", 0, [])
    with pytest.raises(ValueError, match=r"evaluated at least once"):
        compare_runs([run], tmp_path / "out")
