"""Fields of recipes: what they are called, their defaults, and what may stand in them.

A kind of training has a table of `Field`s. Its recipes are made from it by `defaults`, checked
against it by `checked`, and described by docs/training.md and docs/style_transfer.md.
"""

import contextlib
import copy
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ml_collections import config_dict

from srm_keras.training import accepted
from srm_keras.validation import nearest, positive_int


@dataclass(frozen=True)
class Field:
    """One recipe field: its default and the values it accepts, in code and in words."""

    default: Any
    accepts: Callable[[Any], bool]
    expected: str


Fields = Mapping[str, Field]

POLICIES = ("float32", "mixed_float16", "mixed_bfloat16")
SCHEDULES = ("step", "cosine")
STRATEGIES = ("auto", "one_device", "mirrored", "multi_worker", "tpu")

RUN_FIELDS: dict[str, Field] = {
    "seed": Field(0, accepted.integer(0), "a non-negative integer"),
    "recalibration": Field(
        None, accepted.is_spec, "None, a name such as 'srm', a mapping, or a list of these"
    ),
    "steps": Field(1000, accepted.integer(1), "a positive integer (optimizer updates)"),
    "eval_every": Field(100, accepted.integer(1), "a positive integer (optimizer updates)"),
    "batch_size": Field(128, accepted.integer(1), "a positive integer"),
    "eval_batch_size": Field(256, accepted.integer(1), "a positive integer"),
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
}
"""What every kind of training takes."""

IN_UPDATES = (
    *("steps", "eval_every", "checkpoint_every", "steps_per_execution"),
    *("learning_rate.milestones", "learning_rate.warmup_steps"),
)
"""Those that count in optimizer updates."""


def defaults(fields: Fields) -> config_dict.ConfigDict:
    """Returns a recipe with every field at its default."""
    recipe = config_dict.ConfigDict()
    for path, field in fields.items():
        *groups, leaf = path.split(".")
        holder = recipe
        for group in groups:
            if group not in holder:
                holder[group] = config_dict.ConfigDict()
            holder = holder[group]
        default = config_dict.placeholder(object) if field.default is None else field.default
        holder[leaf] = config_dict.ConfigDict(default) if default == {} else default
    return recipe


def checked(recipe: config_dict.ConfigDict, fields: Fields) -> config_dict.ConfigDict:
    """Returns a copy of `recipe` in which every field stands, each checked by itself.

    Raises:
        ValueError: If a field is unknown, or its value is of the wrong type or out of range.
            The message names the field, the value and what would be right.
    """
    if not isinstance(recipe, config_dict.ConfigDict):
        raise ValueError(f"`recipe` must be an ml_collections ConfigDict. Received: {recipe!r}")
    resolved = defaults(fields)
    for path, value in _flatten(recipe.to_dict(), fields):
        if path not in fields:
            raise ValueError(_unknown_field(path, fields))
        _check(path, value, fields)
        _assign(resolved, path, value)
    return resolved


def with_steps(
    recipe: config_dict.ConfigDict, steps: int, keep: Collection[str] = ()
) -> config_dict.ConfigDict:
    """Returns the recipe with `steps` updates, and with all that counts in updates moved along.

    Milestones and warm-up keep their place on the way (milestones that fall together, or on the
    end, count once or not at all). There are as many evaluations as before or, where that does not
    divide `steps`, the next smaller number that does.

    Args:
        recipe: A recipe of any kind of training.
        steps: The new number of updates.
        keep: Fields, by dotted path, that stay as they are.

    Raises:
        ValueError: If `steps` is no positive integer or no multiple of `steps_per_execution`, or a
            field that counts in updates is wrong.
    """
    positive_int("steps", steps)
    given = dict(_flatten(recipe.to_dict(), RUN_FIELDS))
    before = {path: given.get(path, RUN_FIELDS[path].default) for path in IN_UPDATES}
    for path, value in before.items():
        _check(path, value, RUN_FIELDS)
    stride = before["steps_per_execution"]
    if steps % stride:
        raise ValueError(
            f"`steps` must be a multiple of steps_per_execution={stride}. Received: steps={steps}"
        )

    def at(step: int, unit: int = 1) -> int:
        return max(1, round(step * steps / (before["steps"] * unit))) * unit if step else 0

    units = steps // stride
    most = min(max(1, before["steps"] // before["eval_every"]), units)
    milestones = (at(step) for step in before["learning_rate.milestones"])
    after = {
        "steps": steps,
        "eval_every": steps // max(n for n in range(1, most + 1) if units % n == 0),
        "checkpoint_every": at(before["checkpoint_every"], stride),
        "learning_rate.warmup_steps": min(steps, at(before["learning_rate.warmup_steps"])),
        "learning_rate.milestones": tuple(dict.fromkeys(m for m in milestones if m < steps)),
    }
    moved = copy.deepcopy(recipe)
    with moved.unlocked(), moved.ignore_type():
        for path, value in after.items():
            if path not in keep and value != before[path]:
                _assign(moved, path, value)
    return moved


def run_problems(recipe: config_dict.ConfigDict) -> list[str]:
    """What is wrong with `RUN_FIELDS` that only make sense together, in words."""
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
    return problems


@contextlib.contextmanager
def naming(field: str) -> Iterator[None]:
    """Turns what is raised for wrong arguments inside into a `ValueError` that names `field`."""
    try:
        yield
    except (TypeError, ValueError) as error:
        raise ValueError(f"In `{field}`: {error}") from error


def _flatten(values: Mapping, fields: Fields, prefix: str = "") -> list[tuple[str, Any]]:
    """Lists (dotted path, value) of the leaves; the open mappings count as leaves."""
    leaves = []
    for key, value in values.items():
        path = f"{prefix}{key}"
        if isinstance(value, Mapping) and path not in fields:
            leaves += _flatten(value, fields, f"{path}.")
        else:
            leaves.append((path, value))
    return leaves


def _check(path: str, value: Any, fields: Fields) -> None:
    if not fields[path].accepts(value):
        raise ValueError(f"`{path}` must be {fields[path].expected}. Received: {path}={value!r}")


def _assign(recipe: config_dict.ConfigDict, path: str, value: Any) -> None:
    *groups, leaf = path.split(".")
    for group in groups:
        recipe = recipe[group]
    if isinstance(value, list) and isinstance(recipe[leaf], tuple):
        value = tuple(value)
    with recipe.ignore_type():
        recipe[leaf] = value


def _unknown_field(path: str, fields: Fields) -> str:
    hint = nearest(path, fields) or f" (the fields are: {', '.join(fields)})"
    return f"`{path}` is not a field of a recipe{hint}"
