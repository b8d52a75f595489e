"""The fields of a classifier's training recipe.

A recipe is an ``ml_collections.ConfigDict`` or a nested mapping. ``FIELDS`` lists all of them:
``default_recipe()`` is made of it, ``resolve()`` checks against it, docs/training.md describes it.
"""

from collections.abc import Mapping
from typing import Any

from ml_collections import config_dict

from srm_keras.models.adapted import is_adaptable
from srm_keras.training.criterion import SELECTION_FIELDS, selection_problems
from srm_keras.training.fields import (
    Field,
    Recipe,
    are_factors,
    are_names,
    are_some_names,
    checked,
    defaults,
    in_unit_interval,
    integer,
    is_bool,
    is_mapping,
    is_name,
    is_number,
    is_positive,
    one_of,
    optional,
)
from srm_keras.training.inputs import (
    CATEGORICAL_CROSSENTROPY,
    LOSSES,
    VALIDATION,
    standardize_as_the_network_does,
)
from srm_keras.training.optimizer import OPTIMIZER_FIELDS, optimizer_problems
from srm_keras.training.run_fields import RUN_FIELDS, run_problems

FREE = (
    *("eval_batch_size", "checkpoint_every", "keep_checkpoints", "trackers"),
    *("data.cache", "content.cache"),
)
"""Fields of any kind of training that change how a run is done and not what comes out of it."""

SOURCES = ("data.options", "content.options", "style.options")
SOURCE_OPTIONS = ("data_dir", "imagenet_dir", "path", "verify", "on_error")
OF_KNOWN_DATA = ("style.image",)
"""Where data lie and how their files are looked at: options of ``SOURCES``, and other fields.

They change nothing where the data are the same, which the fingerprint in a checkpoint tells.
"""


def is_free(field: str) -> bool:
    """Whether a field, by its dotted path, may change within a run: its result stays the same."""
    return field in FREE


def is_of_known_data(field: str) -> bool:
    """Whether a field may change within a run as long as its data are known to be the same."""
    group, _, name = field.rpartition(".")
    return field in OF_KNOWN_DATA or (group in SOURCES and name in SOURCE_OPTIONS)


def differing(
    one: Mapping[str, Any], other: Mapping[str, Any], data_known: bool = False
) -> list[str]:
    """The fields in which two flat recipes are not those of one run; where data lie comes last.

    Args:
        one: A recipe by dotted paths.
        other: Another one.
        data_known: Whether it is known elsewhere that the data are the same: then it does not
            matter where they lie.
    """
    names = [
        name
        for name in one.keys() | other.keys()
        if _leaf(one, name) != _leaf(other, name) and not is_free(name)
    ]
    names.sort(key=lambda name: (is_of_known_data(name), name))
    return [name for name in names if not (data_known and is_of_known_data(name))]


def _leaf(recipe: Mapping[str, Any], name: str) -> Any:
    """A field of a flat recipe; a group without any is as if it were not there.

    A recipe of before a field was there means its default: such defaults change nothing. And a run
    whose ``jit_compile`` was off before there was ``"auto"`` is one with the default of then.
    """
    value = recipe.get(name, FIELDS[name].default if name in FIELDS else None)
    if isinstance(value, tuple):  # of a default; those of recipes went through JSON
        return list(value)
    if name == "jit_compile" and value == "auto":
        return False
    return None if value == {} else value


FOLDS_BY = ("label", "group")
PLACES = ("block_ends", "existing_se")

FIELDS: dict[str, Field] = {
    **RUN_FIELDS,
    **SELECTION_FIELDS,
    "loss": Field(CATEGORICAL_CROSSENTROPY, one_of(*LOSSES), f"one of {LOSSES}"),
    "label_smoothing": Field(0.0, in_unit_interval, "a number in [0, 1)"),
    "data.name": Field("texture_shapes", is_name, "the name of a data set"),
    "data.options": Field({}, is_mapping, "a mapping of arguments for `srm_keras.data.load`"),
    "data.train_split": Field("train", is_name, "the name of a split"),
    "data.eval_splits": Field(("test",), are_names, "a tuple of split names"),
    "data.preprocessing": Field(
        {}, is_mapping, "a mapping of arguments for `srm_keras.data.Preprocessing`"
    ),
    "data.augmentation": Field(
        {}, is_mapping, "a mapping of arguments for `srm_keras.data.Augmentation`"
    ),
    "data.repeats": Field(
        1, integer(1), "a positive integer (differently augmented copies of an image in a batch)"
    ),
    "data.folds": Field(
        0, lambda value: integer(0)(value) and value != 1, "0 (no folds), or at least 2"
    ),
    "data.fold": Field(0, integer(0), "the number of the held-out fold, from 0"),
    "data.fold_by": Field("label", one_of(*FOLDS_BY), f"one of {FOLDS_BY}"),
    "data.fold_seed": Field(0, integer(0), "a non-negative integer"),
    "data.validation_fraction": Field(
        0.0, in_unit_interval, "a number in [0, 1) (of the training split; 0: none of it)"
    ),
    "data.cache": Field(False, is_bool, "True or False (decoded images are kept in memory)"),
    "model.name": Field(
        "cifar_resnet",
        is_name,
        "a name that `srm_keras.models.build` or keras.applications knows, or a .keras file",
    ),
    "model.options": Field(
        {}, is_mapping, "a mapping of arguments for `srm_keras.models.build` or the constructor"
    ),
    "model.neutral": Field(
        False, is_bool, "True or False (modules with a gain, which begin as the identity)"
    ),
    "model.where": Field(
        None,
        optional(lambda value: value in PLACES or are_some_names(value)),
        f"None, one of {PLACES}, or a tuple of names of layers",
    ),
    "init": Field(
        None,
        optional(is_name),
        "None, or a trained network: a preset, a run folder, a file, a name",
    ),
    "freeze": Field(
        None,
        optional(are_some_names),
        "None, or a tuple of parts of the network, such as ('conv1', 'conv2')",
    ),
    "distillation.teacher": Field(
        None,
        optional(is_name),
        "None, or a trained network: a preset, a run folder, a file, a name",
    ),
    "distillation.temperature": Field(4.0, is_positive, "a positive number"),
    "distillation.weight": Field(
        0.5, lambda value: is_number(value) and 0 < value <= 1, "a number in (0, 1]"
    ),
    **OPTIMIZER_FIELDS,
    "learning_rate.multipliers": Field(
        None,
        optional(are_factors),
        "None, or a mapping from parts of the network to positive numbers, such as "
        "{'backbone': 0.1}",
    ),
    "learning_rate.layer_decay": Field(
        1.0,
        lambda value: is_number(value) and 0 < value <= 1,
        "a number in (0, 1] (the rate of a block as a multiple of the next one's)",
    ),
}


def default_recipe() -> config_dict.ConfigDict:
    """Returns a recipe with every field at its default; recipe files start from it."""
    return defaults(FIELDS)


def is_smoke(form: str) -> bool:
    """Whether a recipe's ``get_config(form)`` was asked for its small form, ``NAME:smoke``.

    Raises:
        ValueError: If ``form`` is neither ``""`` nor ``"smoke"``.
    """
    if form not in ("", "smoke"):
        raise ValueError(f"A recipe's form must be '' or 'smoke'. Received: {form!r}")
    return form == "smoke"


def resolve(recipe: Recipe) -> config_dict.ConfigDict:
    """Returns a checked copy of ``recipe`` in which every field stands.

    Args:
        recipe: A ``ConfigDict`` or a nested mapping with any of the fields in ``FIELDS``.

    Raises:
        ValueError: If a field is unknown, or its value is of the wrong type or out of range.
            The message names the field, the value and what would be right.
    """
    resolved = checked(recipe, FIELDS)
    _check_together(resolved)
    standardize_as_the_network_does(resolved)
    return resolved


def _check_together(recipe: config_dict.ConfigDict) -> None:
    """Checks the fields that only make sense together with others."""
    problems = [*run_problems(recipe), *selection_problems(recipe), *optimizer_problems(recipe)]
    holds_out = recipe.data.folds or recipe.data.validation_fraction
    if not recipe.data.eval_splits and not holds_out:
        problems.append("`data.eval_splits` must name a split. Received: data.eval_splits=()")
    if recipe.data.validation_fraction and VALIDATION in recipe.data.eval_splits:
        problems.append(
            f"`data.eval_splits` must not name {VALIDATION!r} with `data.validation_fraction`, "
            f"which makes it. Received: data.eval_splits={recipe.data.eval_splits}"
        )
    if recipe.data.folds and recipe.data.fold >= recipe.data.folds:
        problems.append(
            f"`data.fold` must be below data.folds={recipe.data.folds}. "
            f"Received: data.fold={recipe.data.fold}"
        )
    if recipe.batch_size % recipe.data.repeats:
        problems.append(
            f"`data.repeats` must divide batch_size={recipe.batch_size}. "
            f"Received: data.repeats={recipe.data.repeats}"
        )
    if recipe.freeze and recipe.init is None:
        problems.append(
            "`freeze` must be None without `init`: random weights are to be trained. "
            f"Received: freeze={recipe.freeze}"
        )
    if recipe.model.where is not None and not is_adaptable(recipe.model.name):
        problems.append(
            "`model.where` must be None for networks of this package, whose modules have their "
            f"places. Received: model.where={recipe.model.where!r} for {recipe.model.name!r}"
        )
    if problems:
        raise ValueError("; ".join(problems))
