"""Experiment trackers get every row once, go on with their run, and end with it."""

import signal
import sys
from types import SimpleNamespace

import pytest

from srm_keras.support.files import read_json, write_json
from srm_keras.training import Interrupted, trackers
from srm_keras.training.recipe import resolve
from srm_keras.training.reports import read_metrics
from srm_keras.training.run_fields import TRACKERS
from srm_keras.training.stylization import train_stylizer
from srm_keras.training.trackers import Trackers
from tests.support.tiny_stylization import tiny_recipe as tiny_stylization
from tests.support.tiny_training import sketches, tiny_recipe, train_tiny

ROWS = [{"epoch": n, "step": 4 * n, "lr": 0.1, "loss": 1 / n} for n in (1, 2, 3)]
SCORES = {"accuracy": 0.5, "classes": {"cat": {"accuracy": 0.1}}, "loss": None}
RESULT = {"last": {"step": 12, "splits": {"test": SCORES}}, "seconds": 3.5}


def session(folder, names=("mlflow",), is_chief=True):
    return SimpleNamespace(
        recipe=resolve(tiny_recipe(trackers=names)),
        folder=folder,
        distribution=SimpleNamespace(is_chief=is_chief),
        log=SimpleNamespace(rows=[]),
    )


def go_on(run, upto):
    """As `fit` does: two segments, an evaluation each but for those that were done before."""
    with Trackers(run) as told:
        for count in range(len(run.log.rows) + 1, upto + 1):
            told.on_train_begin()
            run.log.rows = ROWS[:count]
            told.on_epoch_end(count - 1)
        if upto == len(ROWS):
            write_json(run.folder / "result.json", RESULT)
        else:
            raise Interrupted(4 * upto, signal.SIGTERM, "it goes on")


def test_names_are_those_of_the_recipe():
    assert tuple(trackers.KINDS) == TRACKERS
    with pytest.raises(ValueError, match=r"`trackers` must be a tuple of names in .*\('csv',\)"):
        resolve(tiny_recipe(trackers=("csv",)))
    with pytest.raises(ValueError, match=r"`trackers` must be"):
        resolve(tiny_recipe(trackers=("wandb", "wandb")))


def test_a_run_that_goes_on_is_one_run_with_every_row_once(tmp_path, tracked):
    with pytest.raises(Interrupted):
        go_on(session(tmp_path), 1)
    (record,) = tracked["mlflow"].values()
    assert (record.rows, record.status, record.scores) == (ROWS[:1], "stopped", {})
    assert record.recipe["optimizer.ema_decay"] == 0.9
    go_on(session(tmp_path, ("mlflow", "wandb")), 3)  # its first row is made anew
    assert list(tracked["mlflow"].values()) == [record]
    assert (record.rows, record.status) == (ROWS, "finished")
    scores = {"last.step": 12, "last.splits.test.accuracy": 0.5, "seconds": 3.5}
    assert record.scores == scores
    (late,) = tracked["wandb"].values()
    assert (late.rows, late.status) == (ROWS, "finished")
    ids = {name: next(iter(records)) for name, records in tracked.items()}
    assert read_json(tmp_path / "trackers.json") == ids


def test_a_run_that_was_done_but_for_its_result_is_finished(tmp_path, tracked):
    run = session(tmp_path)
    run.log.rows = ROWS
    go_on(run, 3)
    (record,) = tracked["mlflow"].values()
    assert (record.rows, record.status) == (ROWS, "finished")


def fail(run, error):
    with Trackers(run) as told:
        told.on_train_begin()
        raise error


@pytest.mark.parametrize("error", [FloatingPointError, KeyboardInterrupt])
def test_what_ends_in_an_error_is_not_finished(error, tmp_path, tracked):
    with pytest.raises(error):
        fail(session(tmp_path), error)
    (record,) = tracked["mlflow"].values()
    assert record.status == ("stopped" if error is KeyboardInterrupt else "failed")


def test_only_the_chief_tells(tmp_path, tracked):
    run = session(tmp_path, is_chief=False)
    go_on(run, 3)
    assert tracked == {"mlflow": {}, "wandb": {}}
    assert not (tmp_path / "trackers.json").exists()


def test_a_tracker_that_fails_stops_no_training_and_gets_the_rest_later(tmp_path, tracked, caplog):
    run = session(tmp_path)
    with Trackers(run) as told:
        told.on_train_begin()
        (tracker,) = told._trackers.values()
        for count in (1, 2, 3):
            tracker.failing = count < 3
            run.log.rows = ROWS[:count]
            told.on_epoch_end(count - 1)
        write_json(tmp_path / "result.json", RESULT)
    assert caplog.text.count("lack something of the run: mlflow: no route to host") == 2
    assert "second line" not in caplog.text
    (record,) = tracked["mlflow"].values()
    assert (record.rows, record.status) == (ROWS, "finished")


def test_a_tracker_that_cannot_begin_is_told_in_a_line(tmp_path, tracked, monkeypatch):
    def refuse(*_):
        raise ConnectionError("no route to host\nand a second line")

    monkeypatch.setitem(trackers.KINDS, "wandb", refuse)
    run = session(tmp_path, ("mlflow", "wandb"))
    message = r"`trackers` must name what can begin .*'wandb', which says: no route to host$"
    with pytest.raises(ValueError, match=message), Trackers(run) as told:
        told.on_train_begin()
    assert [record.status for record in tracked["mlflow"].values()] == ["failed"]


def test_a_missing_package_is_told_before_any_work(tmp_path, monkeypatch):
    for name in TRACKERS:
        monkeypatch.setitem(sys.modules, name, None)
        with pytest.raises(ImportError, match=rf"pip install 'srm-keras\[{name}\]'$") as error:
            train_tiny(tiny_recipe(trackers=(name,)), tmp_path / "run")
        assert "\n" not in str(error.value)
    assert not list((tmp_path / "run").glob("*.*"))


@pytest.mark.slow
def test_stylizers_are_tracked_too(tmp_path, tracked):
    with sketches():
        train_stylizer(tiny_stylization(trackers=("mlflow",)), tmp_path)
    (record,) = tracked["mlflow"].values()
    assert record.rows == read_metrics(tmp_path / "metrics.csv")
    assert record.scores["last.splits.held_out.loss"] == record.rows[-1]["val_loss"]


def interrupted_and_finished(folder, name, monkeypatch):
    """A run that stops after its first evaluation, and then goes on."""
    recipe = tiny_recipe(trackers=(name,))
    keep = trackers.Trackers.on_epoch_end

    def stop(told, epoch, logs=None):
        keep(told, epoch, logs)
        raise Interrupted(4, signal.SIGTERM, "it goes on")

    with monkeypatch.context() as patch:
        patch.setattr(trackers.Trackers, "on_epoch_end", stop)
        with pytest.raises(Interrupted):
            train_tiny(recipe, folder)
    yield "KILLED"
    train_tiny(recipe, folder)
    yield "FINISHED"


def test_mlflow_in_a_folder(tmp_path, monkeypatch):
    mlflow = pytest.importorskip("mlflow")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", (tmp_path / "mlruns").as_uri())
    client = mlflow.MlflowClient()
    for status in interrupted_and_finished(tmp_path / "run", "mlflow", monkeypatch):
        (run,) = client.search_runs(["0"])
        assert run.info.status == status
    rows = read_metrics(tmp_path / "run" / "metrics.csv")
    run_id = read_json(tmp_path / "run" / "trackers.json")["mlflow"]
    assert (run.info.run_id, run.info.run_name) == (run_id, "run")
    for name in rows[0].keys() - {"step"}:
        history = client.get_metric_history(run_id, name)
        assert [(one.step, one.value) for one in history] == [(r["step"], r[name]) for r in rows]
    result = read_json(tmp_path / "run" / "result.json")
    accuracy = run.data.metrics["last.splits.test.accuracy"]
    assert accuracy == result["last"]["splits"]["test"]["accuracy"]
    assert run.data.params["recalibration"] == "srm"
    assert mlflow.active_run() is None


def test_wandb_offline(tmp_path, monkeypatch):
    pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_DIR", str(tmp_path))
    for _ in interrupted_and_finished(tmp_path / "run", "wandb", monkeypatch):
        pass
    run = read_json(tmp_path / "run" / "trackers.json")["wandb"]
    files = sorted((tmp_path / "wandb").glob("offline-run-*/*.wandb"))
    assert [file.name for file in files] == [f"run-{run}.wandb"] * 2
    assert b"last.splits.test.accuracy" in files[1].read_bytes()
    assert b"last.splits.test.accuracy" not in files[0].read_bytes()
    assert all(b"val_top5_accuracy" in file.read_bytes() for file in files)
