"""The fields of a training recipe, their defaults, and what may stand in them.

A recipe is an `ml_collections.ConfigDict`. `FIELDS` is the whole list: `default_recipe()` is
made from it, `resolve()` checks against it, and docs/training.md describes it.
"""

import contextlib
import itertools
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from numbers import Real
from typing import Any

from ml_collections import config_dict

from srm_keras.validation import nearest


@dataclass(frozen=True)
class Field:
    """One recipe field: its default and the values it accepts, in code and in words."""

    default: Any
    accepts: Callable[[Any], bool]
    expected: str


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)


def _is_bool(value: Any) -> bool:
    return isinstance(value, bool)


def _integer(minimum: int) -> Callable[[Any], bool]:
    return lambda value: _is_integer(value) and value >= minimum


def _one_of(*names: str) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, str) and value in names


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and bool(value)


def _are_names(value: Any) -> bool:
    return isinstance(value, tuple | list) and len(value) > 0 and all(map(_is_name, value))


def _are_milestones(value: Any) -> bool:
    if not isinstance(value, tuple | list) or not all(_is_integer(v) and v > 0 for v in value):
        return False
    return all(early < late for early, late in itertools.pairwise(value))


def _is_mapping(value: Any) -> bool:
    return isinstance(value, Mapping | config_dict.ConfigDict)


def _is_spec(value: Any) -> bool:
    """Whether `value` is a recalibration spec that JSON can hold; its names are checked later."""
    if isinstance(value, tuple | list):
        return all(map(_is_spec, value))
    return value is None or isinstance(value, str) or _is_mapping(value)


POLICIES = ("float32", "mixed_float16", "mixed_bfloat16")
SCHEDULES = ("step", "cosine")

FIELDS: dict[str, Field] = {
    "seed": Field(0, _integer(0), "a non-negative integer"),
    "recalibration": Field(
        None, _is_spec, "None, a name such as 'srm', a mapping, or a list of these"
    ),
    "steps": Field(1000, _integer(1), "a positive integer (optimizer updates)"),
    "eval_every": Field(100, _integer(1), "a positive integer (optimizer updates)"),
    "batch_size": Field(128, _integer(1), "a positive integer"),
    "eval_batch_size": Field(256, _integer(1), "a positive integer"),
    "dtype_policy": Field("float32", _one_of(*POLICIES), f"one of {POLICIES}"),
    "data.name": Field("texture_shapes", _is_name, "the name of a data set"),
    "data.options": Field({}, _is_mapping, "a mapping of arguments for `srm_keras.data.load`"),
    "data.train_split": Field("train", _is_name, "the name of a split"),
    "data.eval_splits": Field(("test",), _are_names, "a non-empty tuple of split names"),
    "data.preprocessing": Field(
        {}, _is_mapping, "a mapping of arguments for `srm_keras.data.Preprocessing`"
    ),
    "data.cache": Field(False, _is_bool, "True or False (decoded images are kept in memory)"),
    "model.name": Field("cifar_resnet", _is_name, "a name that `srm_keras.models.build` knows"),
    "model.options": Field({}, _is_mapping, "a mapping of arguments for `srm_keras.models.build`"),
    "optimizer.momentum": Field(
        0.9, lambda value: _is_number(value) and 0 <= value < 1, "a number in [0, 1)"
    ),
    "optimizer.nesterov": Field(False, _is_bool, "True or False"),
    "optimizer.weight_decay": Field(
        1e-4, lambda value: _is_number(value) and value >= 0, "a number >= 0"
    ),
    "learning_rate.base": Field(
        0.1, lambda value: _is_number(value) and value > 0, "a positive number"
    ),
    "learning_rate.schedule": Field("step", _one_of(*SCHEDULES), f"one of {SCHEDULES}"),
    "learning_rate.milestones": Field(
        (), _are_milestones, "a tuple of increasing positive integers (optimizer updates)"
    ),
    "learning_rate.factor": Field(
        0.1, lambda value: _is_number(value) and 0 < value <= 1, "a number in (0, 1]"
    ),
    "learning_rate.warmup_steps": Field(0, _integer(0), "a non-negative integer"),
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
    _check_steps(resolved)
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


def _check_steps(recipe: config_dict.ConfigDict) -> None:
    """Checks the fields that only make sense together with `steps`."""
    steps, rate = recipe.steps, recipe.learning_rate
    problems = []
    if steps % recipe.eval_every:
        problems.append(
            f"`eval_every` must divide steps={steps}. Received: eval_every={recipe.eval_every}"
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
    if problems:
        raise ValueError("; ".join(problems))
