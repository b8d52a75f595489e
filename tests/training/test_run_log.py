import logging
from types import SimpleNamespace

import keras
import pytest
import tensorflow as tf
from ml_collections import ConfigDict

from srm_keras.training import callbacks
from srm_keras.training.callbacks import Progress, RunLog
from srm_keras.training.reports import read_metrics
from srm_keras.training.schedules import StepDecay
from srm_keras.training.session import new_networks_are_no_retracing

LOGS = {"loss": 1.0, "accuracy": 0.5, "val_loss": 1.0, "val_accuracy": 0.5}


@pytest.fixture
def clock(monkeypatch):
    now = [1000.0]
    monkeypatch.setattr(callbacks.time, "monotonic", lambda: now[0])
    return now


def log():
    recipe = ConfigDict({"eval_every": 10, "batch_size": 8})
    return RunLog(None, recipe, StepDecay(0.1), "title")


def test_a_resumed_epoch_is_timed_as_a_whole(clock):
    """20 s for the first epoch, 15 s of the second, a checkpoint, a death, 5 s more: 80 / 20."""
    first, second = log(), log()
    first.begin(None)
    clock[0] += 20
    first.on_epoch_end(0, LOGS)
    clock[0] += 15
    progress = first.progress()
    clock[0] += 1000
    second.begin(progress)
    clock[0] += 5
    second.on_epoch_end(1, LOGS)
    assert second.timing == [
        {"epoch": 1, "step": 10, "seconds": 20.0, "images_per_second": 4.0},
        {"epoch": 2, "step": 20, "seconds": 40.0, "images_per_second": 4.0},
    ]


def test_a_log_keeps_the_columns_that_it_began_with(clock, tmp_path):
    """Those of a run that an earlier version began; a new one has them all."""
    begun = log()
    begun.begin(None)
    clock[0] += 20
    begun.on_epoch_end(0, LOGS)
    recipe = ConfigDict({"eval_every": 10, "batch_size": 8})
    for name, progress in (("old", begun.progress()), ("new", None)):
        (tmp_path / name).mkdir()
        more = ("val_top5_accuracy",)
        running = RunLog(tmp_path / name, recipe, StepDecay(0.1), "title", more=more)
        running.begin(progress)
        clock[0] += 20
        running.on_epoch_end(1, LOGS | {"val_top5_accuracy": 0.75})
        rows = read_metrics(tmp_path / name / "metrics.csv")
        assert [row.get("val_top5_accuracy") for row in rows] == [None, None] * (name == "old") + [
            0.75
        ] * (name == "new")


def test_what_a_checkpoint_keeps_does_not_grow_with_the_log(clock):
    running = log()
    running.begin(None)
    progress = running.progress()
    clock[0] += 20
    running.on_epoch_end(0, LOGS)
    assert progress == {"rows": [], "timing": [], "seconds": 0.0}


def test_progress_is_told_within_an_epoch(clock, capsys):
    """Every 20 s: at 2 s a step, steps 11 and 21 of an epoch that goes on at step 1."""
    progress = Progress(ConfigDict({"steps": 400, "eval_every": 25, "batch_size": 8}), 1)
    loss = keras.metrics.Mean(name="loss")
    progress.set_model(SimpleNamespace(metrics=[loss]))
    loss.update_state([0.5, 0.52478])
    clock[0] += 1000  # what came before the first epoch does not count
    progress.on_epoch_begin(0)
    for batch in range(24):
        clock[0] += 2
        progress.on_train_batch_begin(batch + 1)
    assert capsys.readouterr().err.splitlines() == [
        "step 11 of 400: loss 0.5124, 4.0 images/s, 13 min left",
        "step 21 of 400: loss 0.5124, 4.0 images/s, 13 min left",
    ]
    clock[0] += 500  # an evaluation
    progress.on_epoch_begin(1)
    loss.reset_state()
    loss.update_state(0.5)
    clock[0] += 19
    progress.on_train_batch_begin(1)
    assert capsys.readouterr().err == ""
    clock[0] += 1
    progress.on_train_batch_begin(2)
    assert capsys.readouterr().err == "step 27 of 400: loss 0.5000, 0.8 images/s, 62 min left\n"


def test_the_time_left_is_in_units_that_fit():
    told = [callbacks._duration(seconds) for seconds in (0, 59.6, 119, 120, 7199, 7200, 1e5)]
    assert told == ["0 s", "60 s", "119 s", "2 min", "120 min", "2.0 h", "27.8 h"]


def test_new_networks_are_not_called_retracing():
    """TensorFlow's own warning, at seven functions of one line; others are heard as before."""
    logger, heard = tf.get_logger(), []
    handler = logging.Handler()
    handler.emit = lambda record: heard.append(record.getMessage())
    logger.addHandler(handler)
    for _ in range(7):
        tf.function(lambda: 1)()
    (told,) = {text[text.index("triggered") :][:33] for text in heard}
    with new_networks_are_no_retracing():
        logger.warning(told)
        logger.warning("of something else")
    assert heard[-1] == "of something else"
    logger.warning(told)
    assert heard[-2:] == ["of something else", told]
    logger.removeHandler(handler)
