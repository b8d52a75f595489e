"""The best evaluation by a metric of choice, and runs that stop early."""

import html
from unittest import mock

import keras
import numpy as np
import pytest

from srm_keras.data import load_examples
from srm_keras.support.files import read_csv, read_json
from srm_keras.training import (
    compare_runs,
    resolve,
    state_keeper,
    training_examples,
    validation_examples,
)
from srm_keras.training.criterion import Criterion
from srm_keras.training.inputs import load_inputs
from srm_keras.training.reports import read_metrics
from srm_keras.training.selection import EarlyStopping
from tests.support import fault_injection
from tests.support.tiny_training import (
    LOOP,
    Killed,
    assert_same_run,
    tiny_recipe,
    train_tiny,
)


def rows_of(values, metric="val_loss"):
    return [{metric: float(value)} for value in values]


def ends_after(values, patience, min_delta, highest):
    """How many evaluations Keras' own callback lets a run have."""
    mode = "max" if highest else "min"
    stopper = keras.callbacks.EarlyStopping("val_loss", min_delta, patience, mode=mode)
    stopper.set_model(mock.Mock(stop_training=False))
    stopper.on_train_begin()
    for epoch, value in enumerate(values):
        stopper.on_epoch_end(epoch, {"val_loss": value})
        if stopper.model.stop_training:
            return epoch + 1
    return None


@pytest.mark.parametrize("highest", [True, False])
@pytest.mark.parametrize("min_delta", [0.0, 0.3])
def test_runs_stop_where_keras_stops_them(highest, min_delta):
    rng = np.random.default_rng(0)
    criterion = Criterion("val_loss", highest)
    for patience in (1, 2, 5):
        for _ in range(20):
            values = rng.integers(0, 5, 12) + rng.choice([0, 0.25], 12)
            waited = [
                criterion.waited(rows_of(values[:n]), min_delta) for n in range(1, len(values) + 1)
            ]
            due = [n for n, count in enumerate(waited, start=1) if count >= patience]
            assert next(iter(due), None) == ends_after(values, patience, min_delta, highest)


def test_the_best_is_the_first_of_equals_in_the_direction_that_is_known_or_given():
    rows = rows_of([2, 1, 3, 1, 3])
    directions = {("val_loss", "auto"): 1, ("val_loss", "highest"): 2}
    for (metric, direction), place in directions.items():
        criterion = Criterion.of({"best": {"metric": metric, "direction": direction}})
        assert criterion.best(rows) is rows[place]
    assert Criterion.of({}) == Criterion("val_accuracy", highest=True)  # of earlier versions
    assert Criterion.of({"best": {"metric": "val_top5_accuracy"}}).highest


@pytest.mark.parametrize(("chief", "stops"), [(True, True), (False, False)])
def test_the_chief_decides(chief, stops):
    recipe = tiny_recipe(**{"early_stopping.patience": 1, "best.metric": "val_loss"})
    distribution = mock.Mock(is_chief=chief, any_worker=bool)
    stopping = EarlyStopping(recipe, mock.Mock(rows=rows_of([1])), distribution)
    assert not stopping.is_due()
    stopping.log.rows = [{"val_loss": 1.0, "step": 2}, {"val_loss": 1.0, "step": 4}]
    assert stopping.is_due() == stops
    stopping.distribution = mock.Mock(is_chief=chief, any_worker=lambda flag: True)
    stopping.set_model(mock.Mock(stop_training=False))
    stopping.on_epoch_end(1)
    assert stopping.model.stop_training  # with the others


FIELDS = {"steps": 12, "eval_every": 2, "checkpoint_every": 1, "best.metric": "val_loss"}
FIELDS |= {"early_stopping.patience": 1, "early_stopping.min_delta": 9}
FIELDS |= {"data.validation_fraction": 0.25}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    workdir = tmp_path_factory.mktemp("whole")
    train_tiny(tiny_recipe(**FIELDS), workdir)
    return workdir


def test_a_run_that_stops_early_says_so_and_has_the_best_by_the_metric(whole, capsys, tmp_path):
    rows, result = read_metrics(whole / "metrics.csv"), read_json(whole / "result.json")
    assert [row["step"] for row in rows] == [2, 4]
    assert result["stopped_early"] == {"epoch": 2, "step": 4}
    losses = [row["val_loss"] for row in rows]
    assert result["best"]["step"] == rows[int(np.argmin(losses))]["step"]
    assert result["best"]["splits"]["validation"]["loss"] == pytest.approx(min(losses), rel=1e-5)
    assert "4 of 12 steps (stopped early)" in (whole / "report.html").read_text()
    before = {path: path.stat().st_mtime_ns for path in whole.iterdir()}
    assert train_tiny(tiny_recipe(**FIELDS), whole) == result
    assert before == {path: path.stat().st_mtime_ns for path in whole.iterdir()}
    (row,) = compare_runs([whole], tmp_path)
    assert row["best_accuracy_mean"] == rows[int(np.argmin(losses))]["val_accuracy"]


def test_the_best_is_chosen_on_a_part_of_the_training_split(whole):
    """And the test split is scored at the end alone, and told of."""
    result = read_json(whole / "result.json")
    labels = load_examples("texture_shapes", "test", size=16, test_examples=24).labels
    for name in ("best", "last"):
        assert list(result[name]["splits"]) == ["validation", "test"]
    assert [int(row["label"]) for row in read_csv(whole / "predictions.csv")] == labels.tolist()
    assert "Classes of 'test'" in html.unescape((whole / "report.html").read_text())
    recipe = resolve(tiny_recipe(**FIELDS, **{"data.options.train_examples": 80}))
    for folds, expected in ((0, (60, 20, None)), (4, (45, 15, 20))):
        recipe.data.folds = folds
        inputs = load_inputs(recipe)
        held_out = inputs.evals.get("held_out")
        found = len(inputs.examples), len(inputs.evals["validation"]), held_out and len(held_out)
        assert found == expected
        assert (inputs.validation, inputs.told) == ("validation", "held_out" if folds else "test")
        images = [part.images for part in inputs.splits.values()]
        assert len(np.unique(np.concatenate(images), axis=0)) == sum(map(len, images))
        name, examples = validation_examples(recipe)
        assert name == "validation"
        np.testing.assert_array_equal(examples.images, inputs.evals["validation"].images)
        np.testing.assert_array_equal(training_examples(recipe).images, inputs.examples.images)


def test_a_run_that_is_killed_stops_at_the_same_update(whole, tmp_path, monkeypatch):
    """Within the last epoch, and when all is done but the result."""
    recipe = tiny_recipe(**FIELDS)
    train_tiny(recipe, tmp_path, die_after=3)
    with monkeypatch.context() as patch:
        patch.setattr(LOOP, "_finish", mock.Mock(side_effect=Killed))
        with pytest.raises(Killed):
            train_tiny(recipe, tmp_path)
    with monkeypatch.context() as patch:  # no update is done again
        patch.setattr(state_keeper.StateKeeper, "on_epoch_begin", mock.Mock(side_effect=Killed))
        train_tiny(recipe, tmp_path)
    assert_same_run(whole, tmp_path)
    assert read_json(whole / "result.json")["best"] == read_json(tmp_path / "result.json")["best"]


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("strategy", ["one_device", "mirrored", "multi_worker"])
def test_runs_stop_early_on_every_strategy_killed_or_not(strategy, tmp_path):
    def run(name, **options):
        if strategy == "multi_worker":
            return fault_injection.run_workers(tmp_path / name, 40, patience=2, **options)
        return fault_injection.run(tmp_path / name, 40, patience=2, strategy=strategy, **options)

    assert not run("whole")
    assert run("killed", death=(21, 0.02))
    assert not (tmp_path / "killed" / "result.json").exists()
    assert not run("killed")
    assert read_json(tmp_path / "whole" / "result.json")["stopped_early"]["step"] == 24
    assert_same_run(tmp_path / "whole", tmp_path / "killed")


def test_a_metric_that_is_not_logged_is_refused_before_anything_is_written(tmp_path):
    recipe = tiny_recipe(**{"best.metric": "val_top_5_accuracy"})
    told = r"`best.metric` must be one of \('loss', .*did you mean 'val_top5_accuracy'"
    with pytest.raises(ValueError, match=told):
        train_tiny(recipe, tmp_path / "run")
    assert not (tmp_path / "run").exists()
