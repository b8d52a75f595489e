import pytest
from ml_collections import ConfigDict

from srm_keras.training import run_log
from srm_keras.training.run_log import RunLog
from srm_keras.training.schedules import StepDecay

LOGS = {"loss": 1.0, "accuracy": 0.5, "val_loss": 1.0, "val_accuracy": 0.5}


@pytest.fixture
def clock(monkeypatch):
    now = [1000.0]
    monkeypatch.setattr(run_log.time, "monotonic", lambda: now[0])
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


def test_what_a_checkpoint_keeps_does_not_grow_with_the_log(clock):
    running = log()
    running.begin(None)
    progress = running.progress()
    clock[0] += 20
    running.on_epoch_end(0, LOGS)
    assert progress == {"rows": [], "timing": [], "seconds": 0.0}
