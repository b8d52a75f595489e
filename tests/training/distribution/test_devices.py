"""Two replicas in one process against one device, on the same global batches."""

import keras
import numpy as np
import pytest

from srm_keras.data import DatasetInfo, Examples
from srm_keras.training.distribution import inference_state, local_values, resolve_strategy
from srm_keras.training.evaluation import Predictions
from tests.training.distribution import runs
from tests.training.distribution.agreement import assert_same


def both(optimizer, network):
    *one, alone = runs.run(runs.recipe(strategy="one_device"), optimizer, network)
    *two, distribution = runs.run(runs.recipe(strategy="mirrored"), optimizer, network)
    assert (alone.name, alone.replicas, alone.is_chief) == ("one_device", 1, True)
    assert (distribution.name, distribution.replicas) == ("mirrored", 2)
    assert_same(runs.outcome(*two), runs.outcome(*one))


@pytest.mark.parametrize("optimizer", ["sgd", pytest.param("clip", marks=pytest.mark.slow)])
def test_two_replicas_equal_one_device(optimizer, float64):
    both(optimizer, "small")


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", ["sgd", "clip"])
def test_two_replicas_equal_one_device_on_a_resnet(optimizer, float64):
    both(optimizer, "resnet")


def test_local_batch_norm_is_evaluated_and_saved_as_the_mean_and_trains_on_as_its_own(tmp_path):
    fields = runs.recipe(strategy="mirrored", synchronized_batch_norm=False)
    learner, recorder, evaluation, _ = runs.run(fields)
    moving = learner.get_layer("srm").bn.moving_mean
    own = local_values(moving)
    assert not np.array_equal(*own)
    with inference_state(learner):
        keras.Model(learner.inputs, learner.outputs).save(tmp_path / "saved.keras")
    for before, after in zip(own, local_values(moving), strict=True):
        np.testing.assert_array_equal(before, after)
    saved = keras.saving.load_model(tmp_path / "saved.keras")
    np.testing.assert_allclose(saved.get_layer("srm").bn.moving_mean, np.mean(own, axis=0), 1e-6)
    saved.compile(loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    alone = saved.evaluate(*runs.arrays(1, runs.HELD_OUT), verbose=0)
    np.testing.assert_allclose(alone, [evaluation["loss"], evaluation["accuracy"]], rtol=1e-5)
    images, labels = runs.arrays(1, runs.HELD_OUT)
    info = DatasetInfo("made_up", "test", len(labels), 10, tuple("abcdefghij"), (1, 1, 1))
    examples = Examples(np.zeros((len(labels), 1, 1, 1), "uint8"), labels, info)
    exact = Predictions.of(examples, [saved.predict_on_batch(images)]).accuracies()
    assert exact == pytest.approx({name: evaluation[name] for name in exact})
    assert len(exact) == 2
    validated = recorder.epochs[-1]
    np.testing.assert_allclose([validated["val_loss"], validated["val_accuracy"]], alone, rtol=1e-5)


def test_stop_training_and_any_worker():
    learner, recorder, _, distribution = runs.run(runs.recipe(strategy="one_device"), stop_at=1)
    assert len(recorder.batches) == 1
    assert learner.stop_training
    assert distribution.any_worker(True)
    assert not distribution.any_worker(False)


@pytest.mark.slow
@pytest.mark.parametrize("field", [{"jit_compile": True}, {"steps_per_execution": 2}])
def test_keras_still_fails_at_what_is_refused(field, monkeypatch):
    """The day that it does not, `strategies` need no longer refuse it."""
    distribution = resolve_strategy(runs.recipe(strategy="mirrored"))
    monkeypatch.setattr(runs, "resolve_strategy", lambda fields: distribution)
    with pytest.raises(Exception, match=r"different_device|located in device|placeholder"):
        runs.run(runs.recipe(strategy="mirrored", **field))
