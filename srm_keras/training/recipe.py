"""The fields of a classifier's training recipe, and what may stand in them together.

A recipe is an `ml_collections.ConfigDict`. `FIELDS` is the whole list: `default_recipe()` is
made from it, `resolve()` checks against it, and docs/training.md describes it.
"""

from ml_collections import config_dict

from srm_keras.training import accepted
from srm_keras.training.fields import RUN_FIELDS, Field, checked, defaults, run_problems

FOLDS_BY = ("label", "group")

FIELDS: dict[str, Field] = {
    **RUN_FIELDS,
    "label_smoothing": Field(0.0, accepted.in_unit_interval, "a number in [0, 1)"),
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
    "learning_rate.multipliers": Field(
        None,
        accepted.are_factors,
        "None, or a mapping from parts of the network to positive numbers, such as "
        "{'backbone': 0.1}",
    ),
}


def default_recipe() -> config_dict.ConfigDict:
    """Returns a recipe with every field at its default; recipe files start from it."""
    return defaults(FIELDS)


def is_smoke(form: str) -> bool:
    """Whether a recipe's `get_config(form)` was asked for its small form, `NAME:smoke`.

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
    resolved = checked(recipe, FIELDS)
    _check_together(resolved)
    return resolved


def _check_together(recipe: config_dict.ConfigDict) -> None:
    """Checks the fields that only make sense together with others."""
    problems = run_problems(recipe)
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
