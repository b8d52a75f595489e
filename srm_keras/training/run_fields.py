"""The fields that every kind of training has, and what counts in its updates."""

import copy
from collections.abc import Collection

from ml_collections import config_dict

from srm_keras.support.validation import positive_int
from srm_keras.training.fields import (
    Field,
    Recipe,
    assign,
    check_value,
    integer,
    is_bool,
    is_spec,
    leaves_of,
    one_of,
    plain,
    some_of,
)
from srm_keras.training.schedules import RATE_FIELDS, RATE_IN_UPDATES, rate_problems

POLICIES = ("float32", "mixed_float16", "mixed_bfloat16")
STRATEGIES = ("auto", "one_device", "mirrored", "multi_worker", "tpu")
TRACKERS = ("mlflow", "wandb")

RUN_FIELDS: dict[str, Field] = {
    "seed": Field(0, integer(0), "a non-negative integer"),
    "recalibration": Field(
        None, is_spec, "None, a name such as 'srm', a mapping, or a list of these"
    ),
    "steps": Field(1000, integer(1), "a positive integer (optimizer updates)"),
    "eval_every": Field(100, integer(1), "a positive integer (optimizer updates)"),
    "batch_size": Field(128, integer(1), "a positive integer"),
    "eval_batch_size": Field(256, integer(1), "a positive integer"),
    "accumulation_steps": Field(
        1, integer(1), "a positive integer (parts in which a batch is computed, one at a time)"
    ),
    "dtype_policy": Field("float32", one_of(*POLICIES), f"one of {POLICIES}"),
    "strategy": Field("auto", one_of(*STRATEGIES), f"one of {STRATEGIES}"),
    "synchronized_batch_norm": Field(True, is_bool, "True or False"),
    "jit_compile": Field(
        "auto",
        lambda value: value == "auto" or is_bool(value),
        "'auto' (XLA on one GPU or TPU), True or False",
        mixed=True,
    ),
    "steps_per_execution": Field(1, integer(1), "a positive integer (optimizer updates)"),
    "deterministic": Field(True, is_bool, "True or False (bit-identical resume needs True)"),
    "checkpoint_every": Field(
        0, integer(0), "a number of optimizer updates, or 0 for: at evaluations only"
    ),
    "keep_checkpoints": Field(2, integer(1), "a positive integer"),
    "trackers": Field(
        (),
        some_of(*TRACKERS),
        f"a tuple of names in {TRACKERS} (metrics.csv and TensorBoard's events are always there)",
    ),
    **RATE_FIELDS,
}
"""What every kind of training takes."""

IN_UPDATES = (
    *("steps", "eval_every", "checkpoint_every", "steps_per_execution"),
    *RATE_IN_UPDATES,
)
"""Those that count in optimizer updates."""


def with_steps(recipe: Recipe, steps: int, keep: Collection[str] = ()) -> config_dict.ConfigDict:
    """Returns the recipe with ``steps`` updates, and with all that counts in updates moved along.

    Milestones, warm-up, the top of one cycle and the length of the first of several keep their
    place on the way (milestones that fall together, or on the end, count once or not at all; there
    are no more restarts than before). There are as many evaluations as before or, where that does
    not divide ``steps``, the next smaller number that does.

    Args:
        recipe: A recipe of any kind of training.
        steps: The new number of updates.
        keep: Fields, by dotted path, that stay as they are.

    Raises:
        ValueError: If ``recipe`` is none, ``steps`` is no positive integer or no multiple of
            ``steps_per_execution``, or a field that counts in updates is wrong.
    """
    positive_int("steps", steps)
    given = dict(leaves_of(recipe, RUN_FIELDS))
    before = {path: given.get(path, RUN_FIELDS[path].default) for path in IN_UPDATES}
    for path, value in before.items():
        check_value(path, value, RUN_FIELDS)
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
    cycle = before["learning_rate.cycle_steps"]
    after = {
        "steps": steps,
        "eval_every": steps // max(n for n in range(1, most + 1) if units % n == 0),
        "checkpoint_every": at(before["checkpoint_every"], stride),
        "learning_rate.cycle_steps": -(-cycle * steps // before["steps"]),  # rounded up
        "learning_rate.rise_steps": min(steps - 1, at(before["learning_rate.rise_steps"])),
        "learning_rate.warmup_steps": min(steps, at(before["learning_rate.warmup_steps"])),
        "learning_rate.milestones": tuple(dict.fromkeys(m for m in milestones if m < steps)),
    }
    moved = config_dict.ConfigDict(plain(recipe))
    if isinstance(recipe, config_dict.ConfigDict):
        moved = copy.deepcopy(recipe)
    with moved.unlocked(), moved.ignore_type():
        for path, value in after.items():
            if path not in keep and value != before[path]:
                assign(moved, path, value)
    return moved


def run_problems(recipe: config_dict.ConfigDict) -> list[str]:
    """What is wrong with ``RUN_FIELDS`` that only make sense together, in words."""
    steps, stride = recipe.steps, recipe.steps_per_execution
    problems = []
    if steps % recipe.eval_every:
        problems.append(
            f"`eval_every` must divide steps={steps}. Received: eval_every={recipe.eval_every}"
        )
    if recipe.batch_size % recipe.accumulation_steps:
        problems.append(
            f"`accumulation_steps` must divide batch_size={recipe.batch_size}. "
            f"Received: accumulation_steps={recipe.accumulation_steps}"
        )
    for name in ("eval_every", "checkpoint_every"):
        if recipe[name] % stride:
            problems.append(
                f"`steps_per_execution` must divide {name}={recipe[name]}. "
                f"Received: steps_per_execution={stride}"
            )
    return problems + rate_problems(recipe)
