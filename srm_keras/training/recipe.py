"""The fields of a training recipe, their defaults, and what may stand in them.

A recipe is an `ml_collections.ConfigDict`. `FIELDS` is the whole list: `default_recipe()` is
made from it, `resolve()` checks against it, and docs/training.md describes it.
"""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ml_collections import config_dict

from srm_keras.training import accepted
from srm_keras.validation import nearest


@dataclass(frozen=True)
class Field:
    """One recipe field: its default and the values it accepts, in code and in words."""

    default: Any
    accepts: Callable[[Any], bool]
    expected: str


POLICIES = ("float32", "mixed_float16", "mixed_bfloat16")
SCHEDULES = ("step", "cosine")
STRATEGIES = ("auto", "one_device", "mirrored", "multi_worker", "tpu")
FOLDS_BY = ("label", "group")

FIELDS: dict[str, Field] = {
    "seed": Field(0, accepted.integer(0), "a non-negative integer"),
    "recalibration": Field(
        None, accepted.is_spec, "None, a name such as 'srm', a mapping, or a list of these"
    ),
    "steps": Field(1000, accepted.integer(1), "a positive integer (optimizer updates)"),
    "eval_every": Field(100, accepted.integer(1), "a positive integer (optimizer updates)"),
    "batch_size": Field(128, accepted.integer(1), "a positive integer"),
    "eval_batch_size": Field(256, accepted.integer(1), "a positive integer"),
    "label_smoothing": Field(0.0, accepted.in_unit_interval, "a number in [0, 1)"),
    "dtype_policy": Field("float32", accepted.one_of(*POLICIES), f"one of {POLICIES}"),
    "strategy": Field("auto", accepted.one_of(*STRATEGIES), f"one of {STRATEGIES}"),
    "synchronized_batch_norm": Field(True, accepted.is_bool, "True or False"),
    "jit_compile": Field(False, accepted.is_bool, "True or False (XLA; of use on GPUs and TPUs)"),
    "steps_per_execution": Field(1, accepted.integer(1), "a positive integer (optimizer updates)"),
    "deterministic": Field(
        True, accepted.is_bool, "True or False (bit-identical resume needs True)"
    ),
    "checkpoint_every": Field(
        0, accepted.integer(0), "a number of optimizer updates, or 0 for: at evaluations only"
    ),
    "keep_checkpoints": Field(2, accepted.integer(1), "a positive integer"),
    "data.name": Field("texture_shapes", accepted.is_name, "the name of a data set"),
    "data.options": Field(
        {}, accepted.is_mapping, "a mapping of arguments for `srm_keras.data.load`"
    ),
    "data.train_split": Field("train", accepted.is_name, "the name of a split"),
    "data.eval_splits": Field(("test",), accepted.are_names, "a tuple of split names"),
    "data.preprocessing": Field(
        {}, accepted.is_mapping, "a mapping of arguments for `srm_keras.data.Preprocessing`"
    ),
    "data.augmentation": Field(
        {}, accepted.is_mapping, "a mapping of arguments for `srm_keras.data.Augmentation`"
    ),
    "data.folds": Field(
        0, lambda value: accepted.integer(0)(value) and value != 1, "0 (no folds), or at least 2"
    ),
    "data.fold": Field(0, accepted.integer(0), "the number of the held-out fold, from 0"),
    "data.fold_by": Field("label", accepted.one_of(*FOLDS_BY), f"one of {FOLDS_BY}"),
    "data.fold_seed": Field(0, accepted.integer(0), "a non-negative integer"),
    "data.cache": Field(
        False, accepted.is_bool, "True or False (decoded images are kept in memory)"
    ),
    "model.name": Field(
        "cifar_resnet", accepted.is_name, "a name that `srm_keras.models.build` knows"
    ),
    "model.options": Field(
        {}, accepted.is_mapping, "a mapping of arguments for `srm_keras.models.build`"
    ),
    "init": Field(
        None,
        lambda value: value is None or accepted.is_name(value),
        "None, or a preset, a run folder or a .keras file",
    ),
    "freeze": Field(
        None,
        accepted.are_parts,
        "None, or a tuple of parts of the network, such as ('conv1', 'conv2')",
    ),
    "optimizer.momentum": Field(0.9, accepted.in_unit_interval, "a number in [0, 1)"),
    "optimizer.nesterov": Field(False, accepted.is_bool, "True or False"),
    "optimizer.weight_decay": Field(
        1e-4, lambda value: accepted.is_number(value) and value >= 0, "a number >= 0"
    ),
    "optimizer.decay_recalibration": Field(
        False, accepted.is_bool, "True or False (L2 on the CFC and the batch norm of SRM too)"
    ),
    "optimizer.clip_norm": Field(
        0.0,
        lambda value: accepted.is_number(value) and value >= 0,
        "a number >= 0 (the gradient's global norm; 0: no clipping)",
    ),
    "optimizer.ema_decay": Field(
        0.0, accepted.in_unit_interval, "a number in [0, 1) (0: no average of the weights)"
    ),
    "learning_rate.base": Field(
        0.1, lambda value: accepted.is_number(value) and value > 0, "a positive number"
    ),
    "learning_rate.reference_batch_size": Field(
        0,
        accepted.integer(0),
        "the batch size that `learning_rate.base` is for, to scale it linearly, or 0",
    ),
    "learning_rate.schedule": Field("step", accepted.one_of(*SCHEDULES), f"one of {SCHEDULES}"),
    "learning_rate.milestones": Field(
        (), accepted.are_milestones, "a tuple of increasing positive integers (optimizer updates)"
    ),
    "learning_rate.factor": Field(
        0.1, lambda value: accepted.is_number(value) and 0 < value <= 1, "a number in (0, 1]"
    ),
    "learning_rate.warmup_steps": Field(0, accepted.integer(0), "a non-negative integer"),
    "learning_rate.multipliers": Field(
        None,
        accepted.are_factors,
        "None, or a mapping from parts of the network to positive numbers, such as "
        "{'backbone': 0.1}",
    ),
}


def default_recipe() -> config_dict.ConfigDict:
    """Returns a recipe with every field at its default; recipe files start from it."""
    recipe = config_dict.ConfigDict()
    for path, field in FIELDS.items():
        *groups, leaf = path.split(".")
        holder = recipe
        for group in groups:
            if group not in holder:
                holder[group] = config_dict.ConfigDict()
            holder = holder[group]
        default = config_dict.placeholder(object) if field.default is None else field.default
        holder[leaf] = config_dict.ConfigDict(default) if default == {} else default
    return recipe


def is_smoke(form: str) -> bool:
    """Whether a recipe's `get_config(form)` was asked for its small form, `FILE:smoke`.

    Raises:
        ValueError: If `form` is neither `""` nor `"smoke"`.
    """
    if form not in ("", "smoke"):
        raise ValueError(f"A recipe's form must be '' or 'smoke'. Received: {form!r}")
    return form == "smoke"


def resolve(recipe: config_dict.ConfigDict) -> config_dict.ConfigDict:
    """Returns a checked copy of `recipe` in which every field stands.

    Args:
        recipe: A `ConfigDict` with any of the fields in `FIELDS`.

    Raises:
        ValueError: If a field is unknown, or its value is of the wrong type or out of range.
            The message names the field, the value and what would be right.
    """
    if not isinstance(recipe, config_dict.ConfigDict):
        raise ValueError(f"`recipe` must be an ml_collections ConfigDict. Received: {recipe!r}")
    resolved = default_recipe()
    for path, value in _flatten(recipe.to_dict()):
        if path not in FIELDS:
            raise ValueError(_unknown_field(path))
        if not FIELDS[path].accepts(value):
            raise ValueError(
                f"`{path}` must be {FIELDS[path].expected}. Received: {path}={value!r}"
            )
        _assign(resolved, path, value)
    _check_together(resolved)
    return resolved


@contextlib.contextmanager
def naming(field: str) -> Iterator[None]:
    """Turns what is raised for wrong arguments inside into a `ValueError` that names `field`."""
    try:
        yield
    except (TypeError, ValueError) as error:
        raise ValueError(f"In `{field}`: {error}") from error


def _flatten(values: Mapping, prefix: str = "") -> list[tuple[str, Any]]:
    """Lists (dotted path, value) of the leaves; the open mappings count as leaves."""
    leaves = []
    for key, value in values.items():
        path = f"{prefix}{key}"
        if isinstance(value, Mapping) and path not in FIELDS:
            leaves += _flatten(value, f"{path}.")
        else:
            leaves.append((path, value))
    return leaves


def _assign(recipe: config_dict.ConfigDict, path: str, value: Any) -> None:
    *groups, leaf = path.split(".")
    for group in groups:
        recipe = recipe[group]
    if isinstance(value, list) and isinstance(recipe[leaf], tuple):
        value = tuple(value)
    with recipe.ignore_type():
        recipe[leaf] = value


def _unknown_field(path: str) -> str:
    hint = nearest(path, FIELDS) or f" (the fields are: {', '.join(FIELDS)})"
    return f"`{path}` is not a field of a recipe{hint}"


def _check_together(recipe: config_dict.ConfigDict) -> None:
    """Checks the fields that only make sense together with others."""
    steps, rate, stride = recipe.steps, recipe.learning_rate, recipe.steps_per_execution
    problems = []
    if steps % recipe.eval_every:
        problems.append(
            f"`eval_every` must divide steps={steps}. Received: eval_every={recipe.eval_every}"
        )
    for name in ("eval_every", "checkpoint_every"):
        if recipe[name] % stride:
            problems.append(
                f"`steps_per_execution` must divide {name}={recipe[name]}. "
                f"Received: steps_per_execution={stride}"
            )
    if rate.schedule == "step" and rate.milestones and rate.milestones[-1] >= steps:
        problems.append(
            f"`learning_rate.milestones` must be below steps={steps}. "
            f"Received: learning_rate.milestones={rate.milestones}"
        )
    if rate.warmup_steps > steps:
        problems.append(
            f"`learning_rate.warmup_steps` must be at most steps={steps}. "
            f"Received: learning_rate.warmup_steps={rate.warmup_steps}"
        )
    if not recipe.data.eval_splits and not recipe.data.folds:
        problems.append("`data.eval_splits` must name a split. Received: data.eval_splits=()")
    if recipe.data.folds and recipe.data.fold >= recipe.data.folds:
        problems.append(
            f"`data.fold` must be below data.folds={recipe.data.folds}. "
            f"Received: data.fold={recipe.data.fold}"
        )
    if recipe.freeze and recipe.init is None:
        problems.append(
            "`freeze` must be None without `init`: random weights are to be trained. "
            f"Received: freeze={recipe.freeze}"
        )
    if problems:
        raise ValueError("; ".join(problems))
