import re
from collections import OrderedDict
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pytest
from ml_collections import config_dict

from srm_keras.support.files import as_json
from srm_keras.training.recipe import (
    FIELDS,
    FREE,
    default_recipe,
    differing,
    resolve,
)
from srm_keras.training.run_fields import with_steps
from srm_keras.training.run_folder import flatten
from srm_keras.training.stylization import recipe as stylization


def changed(path, value):
    recipe = default_recipe()
    *groups, leaf = path.split(".")
    holder = recipe
    for group in groups:
        holder = holder[group]
    with holder.ignore_type():
        holder[leaf] = value
    return recipe


def test_defaults_pass_their_own_checks():
    assert resolve(default_recipe()).to_dict() == default_recipe().to_dict()
    for path, field in FIELDS.items():
        assert field.accepts(field.default), path


def test_the_page_on_training_has_a_row_for_every_field_and_no_other():
    page = (Path(__file__).parents[2] / "docs" / "training.md").read_text(encoding="utf-8")
    table = page[page.index("| field | default | meaning |") :].split("\n\n")[0]
    found = set()
    for row in table.splitlines()[2:]:
        names = re.findall("`([^`]+)`", row.split("|")[1])
        group = names[0].rpartition(".")[0]
        found |= {group + name if name.startswith(".") else name for name in names}
    assert found == FIELDS.keys()


def test_missing_fields_get_their_defaults_and_the_input_is_left_alone():
    recipe = config_dict.create(steps=200, learning_rate=config_dict.create(base=1))
    resolved = resolve(recipe)
    assert resolved.steps == 200
    assert resolved.learning_rate.base == 1
    assert resolved.optimizer.momentum == 0.9
    assert recipe.to_dict() == {"steps": 200, "learning_rate": {"base": 1}}


@pytest.mark.parametrize("spec", [None, "srm", {"name": "se", "reduction": 8}, [None, "se"]])
def test_recalibration_is_kept_as_it_is(spec):
    assert resolve(changed("recalibration", spec)).to_dict()["recalibration"] == spec


WRONG = [
    ("seed", -1, "`seed` must be a non-negative integer. Received: seed=-1"),
    ("seed", True, "`seed` must be a non-negative integer. Received: seed=True"),
    ("recalibration", print, "`recalibration` must be None, a name such as 'srm', a mapping"),
    ("steps", 0, "`steps` must be a positive integer (optimizer updates). Received: steps=0"),
    ("steps", 10.0, "`steps` must be a positive integer (optimizer updates). Received: steps=10.0"),
    ("batch_size", "64", "`batch_size` must be a positive integer. Received: batch_size='64'"),
    ("dtype_policy", "float8", "`dtype_policy` must be one of"),
    ("data.name", "", "`data.name` must be the name of a data set. Received: data.name=''"),
    ("data.eval_splits", (), "`data.eval_splits` must name a split. Received: data.eval_splits=()"),
    ("data.eval_splits", "test", "`data.eval_splits` must be a tuple of split names"),
    ("data.options", 3, "`data.options` must be a mapping"),
    ("model.neutral", 1, "`model.neutral` must be True or False (modules with a gain, which begin"),
    ("optimizer.momentum", 1.0, "`optimizer.momentum` must be a number in [0, 1)"),
    ("optimizer.name", "", "`optimizer.name` must be 'sgd', 'adamw', 'lamb', 'lion' or the name"),
    ("optimizer.exclude_from_decay", ("gamma",), "must be a tuple of ('norms', 'biases')"),
    ("learning_rate.layer_decay", 1.5, "`learning_rate.layer_decay` must be a number in (0, 1]"),
    ("optimizer.nesterov", 1, "`optimizer.nesterov` must be True or False"),
    ("optimizer.weight_decay", float("nan"), "`optimizer.weight_decay` must be a number >= 0"),
    ("learning_rate.base", 0, "`learning_rate.base` must be a positive number"),
    ("learning_rate.schedule", "exp", "`learning_rate.schedule` must be one of"),
    ("learning_rate.milestones", (300, 200), "must be a tuple of increasing positive integers"),
    ("learning_rate.factor", 10, "`learning_rate.factor` must be a number in (0, 1]"),
    ("learning_rate.warmup_steps", -1, "`learning_rate.warmup_steps` must be a non-negative"),
    # Fields that must agree with `steps`, whose default is 1000.
    ("eval_every", 300, "`eval_every` must divide steps=1000. Received: eval_every=300"),
    ("learning_rate.milestones", (500, 1000), "`learning_rate.milestones` must be below steps"),
    ("learning_rate.warmup_steps", 1001, "`learning_rate.warmup_steps` must be at most steps"),
    (
        "learning_rate",
        {"schedule": "restarts"},
        "`learning_rate.cycle_steps` must be positive and at most steps=1000 with schedule=",
    ),
    (
        "learning_rate",
        {"schedule": "one_cycle", "rise_steps": 1000},
        "`learning_rate.rise_steps` must be below steps=1000. Received: learning_rate.rise_steps=",
    ),
    ("learning_rate.cycle_factor", 1.5, "`learning_rate.cycle_factor` must be a positive integer"),
    ("steps_per_execution", 3, "`steps_per_execution` must divide eval_every=100. Received: step"),
    ("accumulation_steps", 3, "`accumulation_steps` must divide batch_size=128. Received: accum"),
    # Fields of the training system.
    ("strategy", "mirorred", "`strategy` must be one of"),
    ("label_smoothing", 1, "`label_smoothing` must be a number in [0, 1)"),
    ("checkpoint_every", -1, "`checkpoint_every` must be a number of optimizer updates, or 0"),
    ("keep_checkpoints", 0, "`keep_checkpoints` must be a positive integer"),
    ("optimizer.ema_decay", 1.0, "`optimizer.ema_decay` must be a number in [0, 1)"),
    ("optimizer.clip_norm", -1, "`optimizer.clip_norm` must be a number >= 0"),
    ("best.metric", "val_f1", "`best.direction` must be 'highest' or 'lowest' for metrics whose"),
    ("best.direction", "up", "`best.direction` must be one of ('auto', 'highest', 'lowest')"),
    ("early_stopping.patience", -1, "`early_stopping.patience` must be a number of evaluations"),
    ("early_stopping.min_delta", -0.1, "`early_stopping.min_delta` must be a number >= 0"),
    (
        "optimizer",
        {"name": "lion", "nesterov": True},
        "must stay 0.9 and False for others than 'sgd'",
    ),
    ("data.validation_fraction", 1.0, "`data.validation_fraction` must be a number in [0, 1)"),
    (
        "data",
        {"validation_fraction": 0.1, "eval_splits": ("validation",)},
        "`data.eval_splits` must not name 'validation' with `data.validation_fraction`, which",
    ),
    ("data.folds", 1, "`data.folds` must be 0 (no folds), or at least 2. Received: data.folds=1"),
    ("data.fold_by", "domain", "`data.fold_by` must be one of"),
    ("data.repeats", 0, "`data.repeats` must be a positive integer"),
    ("data.repeats", 3, "`data.repeats` must divide batch_size=128. Received: data.repeats=3"),
    ("loss", "bce", "`loss` must be one of ('categorical_crossentropy', 'binary_crossentropy')"),
    # Fields of fine-tuning.
    ("init", "", "a trained network: a preset, a run folder, a file, a name. Received: init=''"),
    ("freeze", "conv1", "`freeze` must be None, or a tuple of parts of the network, such as"),
    (
        "freeze",
        ("conv1",),
        "`freeze` must be None without `init`: random weights are to be trained",
    ),
    ("learning_rate.multipliers", {"head": -1}, "`learning_rate.multipliers` must be None, or a"),
    ("learning_rate.multipliers", 0.1, "`learning_rate.multipliers` must be None, or a mapping"),
    ("jit_compile", "yes", "`jit_compile` must be 'auto' (XLA on one GPU or TPU), True or False. "),
    # Fields that do not exist.
    ("learning_rte", 0.1, "`learning_rte` is not a field of a recipe (did you mean 'learning_rate"),
    ("optimizer.wd", 0.1, "`optimizer.wd` is not a field of a recipe"),
    ("zzz", 0.1, "`zzz` is not a field of a recipe (the fields are: seed, recalibration"),
    ("data", 3, "`data` is not a field of a recipe"),
]


@pytest.mark.parametrize(("path", "value", "message"), WRONG, ids=lambda value: str(value)[:40])
def test_wrong_values_are_named(path, value, message):
    recipe = changed(path, value)
    for given in (recipe, recipe.to_dict()):
        with pytest.raises(ValueError, match=re.escape(message)) as error:
            resolve(given)
        assert "\n" not in str(error.value)


def test_all_disagreements_with_steps_are_reported_at_once():
    recipe = changed("learning_rate.milestones", (500,))
    recipe.update(steps=90, eval_every=100)
    with pytest.raises(ValueError, match=r"`eval_every` must divide.*; `learning_rate.milestones`"):
        resolve(recipe)


@pytest.mark.parametrize("wrong", [None, 3, "cifar10", [("steps", 3)], {"steps"}])
@pytest.mark.parametrize("check", [resolve, stylization.resolve])
def test_a_recipe_is_a_config_dict_or_a_mapping(check, wrong):
    with pytest.raises(ValueError, match=r"`recipe` must be an ml_collections ConfigDict or a map"):
        check(wrong)


def test_a_mapping_is_the_recipe_with_the_same_fields():
    """Of whatever kind and however nested, with NumPy's numbers and paths; it is left alone."""
    options = {"data_dir": Path("images"), "seed": np.int64(3)}
    given = MappingProxyType(
        {
            "steps": np.int64(200),
            "learning_rate": OrderedDict(base=np.float32(0.5), milestones=[100, np.int32(150)]),
            "data": config_dict.create(options=options),
            "optimizer": {"nesterov": np.bool_(True)},
            "recalibration": [None, MappingProxyType({"name": "se", "reduction": np.int8(8)})],
            "model": {},
        }
    )
    expected = default_recipe()
    expected.steps, expected.learning_rate.base = 200, 0.5
    expected.learning_rate.milestones = (100, 150)
    expected.data.options = {"data_dir": "images", "seed": 3}
    expected.optimizer.nesterov = True
    expected.recalibration = [None, {"name": "se", "reduction": 8}]
    resolved = resolve(given)
    assert resolved.to_dict() == expected.to_dict()
    assert type(resolved.steps) is int
    assert type(given["steps"]) is np.int64
    half = with_steps(given, 100)
    assert (half.steps, list(half.learning_rate.milestones)) == (100, [50, 75])
    assert with_steps({}, 10).to_dict()["steps"] == 10
    stylizer = stylization.resolve({"content": {"name": "texture_shapes"}})
    assert stylizer.content.name == "texture_shapes"


def test_fields_that_an_earlier_version_had_not_are_no_difference():
    now = flatten(as_json(default_recipe().to_dict()))
    before = {name: now[name] for name in ("steps", "data.eval_splits") if name in now}
    assert differing(before, now) == differing(now, before) == []
    assert differing(before, {**now, "optimizer.name": "lamb"}) == ["optimizer.name"]


def test_a_field_of_mixed_types_is_set_like_any_other():
    recipe = default_recipe()
    assert resolve(recipe).jit_compile == "auto"
    for value in (True, False, "auto"):
        recipe.jit_compile = value
        assert resolve(recipe.to_dict()).jit_compile == value


def test_a_run_without_xla_is_one_of_before_auto():
    one = {"jit_compile": False}
    assert differing(one, {"jit_compile": "auto"}) == []
    assert differing(one, {}) == []
    assert differing({"jit_compile": True}, {"jit_compile": "auto"}) == ["jit_compile"]


def test_free_fields_are_fields():
    assert set(FREE) <= FIELDS.keys() | stylization.FIELDS.keys()
