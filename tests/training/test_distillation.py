"""Runs that learn from a teacher too: what they leave, how they go on, and what is refused."""

import shutil

import keras
import numpy as np
import pytest

from srm_keras.data import Preprocessing
from srm_keras.interop import read_trained, save_preset
from srm_keras.support.files import as_json, read_json, write_json
from srm_keras.training import compare_runs, save_run_as_preset
from tests.support.tiny_training import (
    assert_same_run,
    newest_state,
    tiny_network,
    tiny_recipe,
    train_tiny,
    weights,
)


def network_file(folder, shape=(16, 16, 3), classes=10, activation="softmax"):
    """A `.keras` file with random weights and nothing beside it."""
    model = tiny_network(None, shape, classes)
    model.layers[-1].activation = keras.activations.get(activation)
    model.save(folder / "net.keras")
    return folder / "net.keras"


@pytest.fixture(scope="module")
def teacher(tmp_path_factory):
    keras.utils.set_random_seed(7)
    return network_file(tmp_path_factory.mktemp("teacher"))


def distilled(teacher, **fields):
    return tiny_recipe(**{"distillation.teacher": str(teacher), **fields})


@pytest.fixture(scope="module")
def whole(teacher, tmp_path_factory):
    workdir = tmp_path_factory.mktemp("whole")
    train_tiny(distilled(teacher), workdir)
    return workdir


def test_the_teacher_is_named_and_is_no_part_of_what_is_saved(teacher, whole, tmp_path):
    told = read_json(whole / "teacher.json")
    network = read_trained(teacher)
    count = network.model.count_params()
    assert told == {"teacher": str(teacher), "sha256": network.sha256, "parameters": count}
    alone = tiny_network(None, (16, 16, 3), 10)
    assert sum(read_json(whole / "result.json")["parameters"].values()) == count
    assert sum(array.size for array in weights(whole / "last.keras").values()) == count
    state = newest_state(whole)
    sizes = [array.size for name, array in state.items() if name.startswith("model/")]
    assert sum(sizes) == sum(v.numpy().size for v in alone.variables)  # seeds of dropout too
    assert save_run_as_preset(whole, tmp_path / "preset").card["teacher"] == told
    plain = tmp_path / "plain"
    shutil.copytree(whole, plain)
    write_json(plain / "recipe.json", as_json(tiny_recipe().to_dict()))
    rows = compare_runs([plain, whole], tmp_path / "compared")
    expected = ["srm", "srm, teacher=net.keras (0.5, T=4.0)"]
    assert [row["recalibration"] for row in rows] == expected


def test_a_run_that_dies_goes_on_bit_identical_and_with_its_teacher_alone(teacher, whole, tmp_path):
    train_tiny(distilled(teacher), tmp_path / "run", die_after=5)
    kept = teacher.read_bytes()
    network = keras.saving.load_model(teacher)
    network.set_weights([weight + 1e-3 for weight in network.get_weights()])
    network.save(teacher)
    with pytest.raises(ValueError, match=r"another run: its teacher's weights differ$"):
        train_tiny(distilled(teacher), tmp_path / "run")
    teacher.write_bytes(kept)
    with pytest.raises(ValueError, match=r"a run with distillation.temperature=4.0 instead of 2"):
        train_tiny(distilled(teacher, **{"distillation.temperature": 2}), tmp_path / "run")
    train_tiny(distilled(teacher), tmp_path / "run")
    assert_same_run(whole, tmp_path / "run")


@pytest.mark.slow
def test_a_teacher_of_next_to_no_weight_changes_next_to_nothing(teacher, tmp_path):
    """Neither names, nor random numbers, nor anything but the loss."""
    fields = {"steps": 4, "optimizer.ema_decay": 0.0}
    train_tiny(tiny_recipe(**fields), tmp_path / "plain")
    train_tiny(
        distilled(teacher, **fields, **{"distillation.weight": 1e-7}), tmp_path / "distilled"
    )
    one, other = (weights(tmp_path / name / "last.keras") for name in ("plain", "distilled"))
    assert one.keys() == other.keys()
    for name, array in one.items():
        np.testing.assert_allclose(array, other[name], atol=1e-5, err_msg=name)


ALL = {
    "strategy": "mirrored",
    "dtype_policy": "mixed_bfloat16",
    "data.augmentation": {"mixup": 0.2, "cutmix": 1.0},
    "label_smoothing": 0.1,
    "optimizer.clip_norm": 1.0,
}


@pytest.mark.slow
@pytest.mark.parametrize(
    "fields", [ALL, {"dtype_policy": "mixed_float16", "loss": "binary_crossentropy"}], ids=str
)
def test_with_all_that_a_recipe_may_ask_for_a_run_goes_on_bit_identical(fields, teacher, tmp_path):
    train_tiny(distilled(teacher, **fields), tmp_path / "whole")
    train_tiny(distilled(teacher, **fields), tmp_path / "dead", die_after=6)
    train_tiny(distilled(teacher, **fields), tmp_path / "dead")
    assert_same_run(tmp_path / "whole", tmp_path / "dead")


def test_a_teacher_that_does_not_suit_is_refused_before_anything_is_written(teacher, tmp_path):
    names = [f"class {number}" for number in range(10)]
    found = read_trained(teacher)
    save_preset(found.model, tmp_path / "p.zip", Preprocessing(16), names)
    refused = {
        str(
            tmp_path / "p.zip"
        ): r"tell the classes of the data, .* \('disc', .*p.zip' with \('class",
        "runs/none": r"must be 'imagenet', .*Received: 'runs/none', which does not exist",
    }
    options = {
        r"Received: '.*net.keras' with 7 without names": {"classes": 7},
        r"of the shape \(16, 16, 3\), .*net.keras', which takes \(16, 16, 1\) alone": {
            "shape": (16, 16, 1)
        },
        r"`distillation.teacher`: `model` must end in a softmax or": {"activation": "sigmoid"},
    }
    for number, (message, given) in enumerate(options.items()):
        (tmp_path / str(number)).mkdir()
        refused[str(network_file(tmp_path / str(number), **given))] = message
    for name, message in refused.items():
        with pytest.raises(ValueError, match=message) as error:
            train_tiny(distilled(name), tmp_path / "run")
        assert "distillation.teacher" in str(error.value)
        assert "\n" not in str(error.value)
        assert not list((tmp_path / "run").glob("*.*"))
