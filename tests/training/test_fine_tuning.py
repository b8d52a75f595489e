"""Runs that begin from a trained network: what they load, freeze, scale, and how they go on."""

import json
import shutil
from unittest import mock

import keras
import numpy as np
import pytest

from srm_keras.data import Preprocessing
from srm_keras.interop import load_preset, read_trained, save_preset, trained
from srm_keras.interop.presets import read_card
from srm_keras.layers import SRM, neutral
from srm_keras.layers.registry import spec_of
from srm_keras.models import build
from srm_keras.support.files import as_json, read_json, write_json
from srm_keras.training import resolve
from srm_keras.training.build import build_model
from srm_keras.training.callbacks import RunLog
from srm_keras.training.fine_tuning import Beginning
from srm_keras.training.reports import save_run_as_preset
from tests.support.tiny_training import (
    Killed,
    assert_same_arrays,
    assert_same_run,
    tiny_recipe,
    train_tiny,
)
from tests.support.weights import randomize

TEXTURES = {"size": 16, "train_examples": 40, "test_examples": 24, "label": "texture"}
FROZEN = ("conv/", "bn/")


@pytest.fixture(scope="module")
def shapes(tmp_path_factory):
    """The run folder of a network that tells ten shapes."""
    workdir = tmp_path_factory.mktemp("shapes")
    train_tiny(tiny_recipe(), workdir)
    return workdir


def fine_tuning(given_init, **fields):
    """Other classes, two frozen parts, a smaller rate for the modules."""
    given = {
        "init": str(given_init),
        "data.options": TEXTURES,
        "freeze": ("conv", "bn"),
        "learning_rate.multipliers": {"recalibration": 0.1},
        **fields,
    }
    return tiny_recipe(**given)


def by_layer(path):
    """Weights by the names of layer and variable."""
    return {v.path: v.numpy() for v in keras.saving.load_model(path).weights}


@pytest.fixture(scope="module")
def tuned(shapes, tmp_path_factory):
    workdir = tmp_path_factory.mktemp("tuned")
    train_tiny(fine_tuning(shapes), workdir)
    return workdir


def test_frozen_parts_stay_to_the_bit_and_others_learn(shapes, tuned):
    before, after = by_layer(shapes / "best.keras"), by_layer(tuned / "last.keras")
    assert before.keys() == after.keys()
    for path, value in before.items():
        if path.startswith(FROZEN):  # Moving statistics too: the batch norm is not in training.
            np.testing.assert_array_equal(value, after[path], err_msg=path)
        else:
            assert value.shape != after[path].shape or not np.array_equal(value, after[path]), path


def test_the_record_says_what_was_loaded(shapes, tuned):
    record = read_json(tuned / "initial_weights.json")
    modules = {"recalibration": as_json(spec_of(SRM()))}
    assert record == {
        "init": str(shapes),
        "sha256": read_trained(shapes).sha256,
        "loaded": ["conv", "bn", "recalibration"],
        "new": ["classifier"],
        "unused": ["classifier"],
        "frozen": ["conv", "bn"],
        "blueprint": {"modules": modules, "stride_in": None},
    }
    assert str(shapes) in (tuned / "report.html").read_text()
    count = sum(
        v.size for n, v in by_layer(tuned / "last.keras").items() if not n.startswith(FROZEN)
    )
    result = read_json(tuned / "result.json")
    moving = 2 * 8
    assert result["parameters"]["trainable"] == count - moving


@pytest.mark.parametrize(
    "deaths", [(2,), pytest.param((5,), marks=pytest.mark.slow)], ids=["2", "5"]
)
def test_a_run_that_dies_goes_on_bit_identical(deaths, shapes, tuned, tmp_path):
    """Before any checkpoint, when `init` is read again, and after one, when it is gone."""
    init = tmp_path / "init"
    shutil.copytree(shapes, init)
    workdir = tmp_path / "run"
    for step in deaths:
        train_tiny(fine_tuning(init), workdir, die_after=step)
    if deaths != (2,):
        shutil.rmtree(init)
    train_tiny(fine_tuning(init), workdir)
    assert_same_run(tuned, workdir)


def test_a_run_does_not_go_on_without_its_record(shapes, tmp_path):
    train_tiny(fine_tuning(shapes), tmp_path, die_after=5)
    record = tmp_path / "initial_weights.json"
    found = read_json(record)
    record.unlink()
    with pytest.raises(ValueError, match=r"must hold initial_weights.json, which says"):
        train_tiny(fine_tuning(shapes), tmp_path)
    record.write_text(json.dumps({**found, "sha256": "another"}))
    with pytest.raises(ValueError, match=r"another run: its initial weights differ"):
        train_tiny(fine_tuning(shapes), tmp_path)


def test_all_forms_of_init_begin_alike(shapes, tmp_path, capsys):
    """A preset in a folder or a file, a file of a run, and one that does not name its classes."""
    for name in ("preset", "preset.zip"):
        save_run_as_preset(shapes, tmp_path / name)
    bare = tmp_path / "bare.keras"
    shutil.copy(shapes / "last.keras", bare)
    inits = [tmp_path / "preset", tmp_path / "preset.zip", shapes / "last.keras", bare]
    for number, init in enumerate(inits):
        with mock.patch.object(RunLog, "begin", side_effect=Killed), pytest.raises(Killed):
            train_tiny(fine_tuning(init), tmp_path / f"run{number}")
        record = read_json(tmp_path / f"run{number}" / "initial_weights.json")
        # Of a bare file only the number of its classes is known, and there are ten of both.
        assert record["new"] == ([] if init == bare else ["classifier"])
        told = f"{4 - len(record['new'])} layers loaded; new: "
        assert told in capsys.readouterr().err


def test_a_network_of_the_package_says_what_gain_its_modules_have(tmp_path, monkeypatch):
    """Also when the run goes on and ``init`` is gone: the record has it."""
    monkeypatch.setattr(trained, "ZOO", tmp_path)
    model = build("cifar_resnet8_basic", recalibration=neutral("srm"), input_shape=(16, 16, 3))
    randomize(model)
    names = tuple(map(str, range(10)))
    file = tmp_path / "srm_cifar_resnet8_basic.shapes.zip"
    save_preset(model, file, Preprocessing(image_size=16), names)
    recipe = resolve(tiny_recipe(init="shapes"))
    beginning = Beginning(recipe, tmp_path, overwrite=False)
    built = build_model(recipe, (16, 16, 3), 10, beginning.blueprint)
    beginning.apply(built, names)
    assert_same_arrays(by_variable(model), by_variable(built))
    assert built.get_layer("conv2_1_recalibration").gain == 2
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "step_000001.npz").touch()
    write_json(tmp_path / "initial_weights.json", beginning.record)
    file.unlink()
    resumed = Beginning(recipe, tmp_path, overwrite=False)
    again = build_model(recipe, (16, 16, 3), 10, resumed.blueprint)
    assert again.get_layer("conv2_1_recalibration").gain == 2
    resumed.apply(again, names)
    assert (resumed.is_read, resumed.record) == (False, as_json(beginning.record))


def test_weights_without_an_architecture_fit_the_recipes_network_alone(tmp_path):
    recipe = resolve(tiny_recipe(init=str(tmp_path / "net.weights.h5")))
    model, other = (build_model(recipe, (16, 16, 3), 10) for _ in range(2))
    model.save_weights(tmp_path / "net.weights.h5")
    beginning = Beginning(recipe, tmp_path, overwrite=False)
    beginning.apply(other, tuple("abcdefghij"))
    assert_same_arrays(by_variable(model), by_variable(other))
    assert beginning.record["new"] == []
    with pytest.raises(ValueError, match=r"`weights` must be of the network that is built, 'cifar"):
        beginning.apply(build_model(recipe, (16, 16, 3), 7), tuple("abcdefg"))


def by_variable(model):
    return {variable.path: variable.numpy() for variable in model.weights}


def test_a_run_becomes_a_preset_with_its_card(shapes, tmp_path):
    saved = save_run_as_preset(shapes, tmp_path / "preset", "last", {"license": "mit"})
    preset = load_preset(tmp_path / "preset")
    result = read_json(shapes / "result.json")["last"]
    assert preset.card == saved.card
    assert (preset.card["recipe"]["recalibration"], preset.card["license"]) == ("srm", "mit")
    assert preset.card["metrics"]["test"]["accuracy"] == result["splits"]["test"]["accuracy"]
    assert preset.card["data"]["name"] == "texture_shapes"
    of_package = read_card(trained.ZOO / "srm_cifar_resnet8_basic.texture_shapes.zip")
    own = {"checkpoint", "training_versions", "step"}
    assert preset.card.keys() - own == of_package.keys() - {"description"}
    assert preset.classes == tuple(read_json(shapes / "classes.json"))
    assert_same_arrays(by_layer(shapes / "last.keras"), by_layer(tmp_path / "preset"))


def test_the_same_classes_keep_the_head_and_the_score(shapes, tmp_path):
    """With a rate of next to nothing the run ends where its `init` was."""
    fields = {"data.options": {**TEXTURES, "label": "shape"}, "learning_rate.base": 1e-12}
    fields |= {"steps": 4, "optimizer.ema_decay": 0.0, "learning_rate.multipliers": None}
    frozen = ("conv", "bn", "recalibration")
    result = train_tiny(fine_tuning(shapes, freeze=frozen, **fields), tmp_path)
    assert read_json(tmp_path / "initial_weights.json")["new"] == []
    before = read_json(shapes / "result.json")["best"]["splits"]["test"]
    after = result["last"]["splits"]["test"]
    assert after["loss"] == pytest.approx(before["loss"], rel=1e-6)


@pytest.mark.slow
def test_two_replicas_begin_from_the_same_weights(shapes, tmp_path):
    fields = {"strategy": "mirrored", "steps": 4, "optimizer.clip_norm": 1.0}
    train_tiny(fine_tuning(shapes, **fields), tmp_path)
    before, after = by_layer(shapes / "best.keras"), by_layer(tmp_path / "last.keras")
    for path in before:
        if path.startswith(FROZEN):
            np.testing.assert_array_equal(before[path], after[path])
    kernels = [w["recalibration/cfc/kernel"] for w in (before, after)]
    assert 0 < np.abs(kernels[0] - kernels[1]).max() < 0.1


WRONG = [
    (
        {"init": "none"},
        r"`init` 'none' of 'srm_cifar_resnet8_basic' cannot be had.*known of it: .*texture_shapes",
    ),
    ({"init": "runs/none"}, r"`init` must be 'imagenet', .*Received: 'runs/none', .*not exist"),
    ({"init": "tests"}, r"`init` must .* or a .keras,.*: 'tests', a folder without best.keras"),
    ({"init": "Makefile"}, r"`init` must .*Received: 'Makefile', a file of another kind"),
    ({"freeze": ("cnov",)}, r"`freeze` must name parts.*Received: 'cnov' .did you mean 'conv'"),
    ({"freeze": ("classifier",)}, r"`freeze` must name parts of the network"),
    ({"freeze": ("head",)}, r"Received: 'head', all of which is new"),
    ({"learning_rate.multipliers": {"bakbone": 2}}, r"'bakbone' .did you mean 'backbone'"),
    ({"learning_rate.multipliers": {"head": 0}}, r"`learning_rate.multipliers` must be None, or"),
    ({"init": None}, r"`freeze` must be None without `init`"),
]


@pytest.mark.parametrize(("fields", "message"), WRONG, ids=[str(fields) for fields, _ in WRONG])
def test_wrong_fields_fail_before_anything_is_written(fields, message, shapes, tmp_path):
    with pytest.raises(ValueError, match=message) as error:
        train_tiny(fine_tuning(shapes, **fields), tmp_path / "run")
    assert "\n" not in str(error.value)
    assert not (tmp_path / "run").exists()
