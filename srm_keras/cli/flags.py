"""Flags that mean the same in every command, recipes by name, and checks of a command line."""

import functools
import importlib.machinery
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from absl import flags as absl_flags
from absl.flags import FlagValues
from ml_collections import ConfigDict, config_flags
from ml_collections.config_dict import placeholder

KINDS = {
    "run": "a run folder of train",
    "stylizer": "a run folder of train_stylizer",
    "preset": "a preset (folder, .zip file or hf://…)",
    "keras": "a .keras file",
    "torch": "a .safetensors or .pth file of a ResNet",
    "named": "a trained network by name (srm-keras models)",
    "saved_model": "a SavedModel",
    "tflite": "a .tflite file",
    "onnx": "an .onnx file",
}
"""What ``--model`` and ``--models`` name: the kinds of trained networks."""
CLASSIFIERS = ("run", "preset", "keras", "torch", "named")
"""Kinds that hold a classifier as a Keras model."""


def either(kinds: Sequence[str]) -> str:
    """The kinds in words: "a run folder of train or a .keras file"."""
    *others, last = [KINDS[kind] for kind in kinds]
    return f"{', '.join(others)} or {last}" if others else last


def model(flags: FlagValues, kinds: Sequence[str], besides: str = "") -> None:
    """``--model``: one trained network of these kinds, or what ``besides`` says."""
    absl_flags.DEFINE_string(
        "model", None, f"The network: {besides}{either(kinds)}.", flag_values=flags
    )


def models(flags: FlagValues, kinds: Sequence[str], besides: str = "") -> None:
    """``--models``: trained networks of these kinds, or what ``besides`` says; commas between."""
    absl_flags.DEFINE_list(
        "models",
        [],
        f"Networks, with commas between them, or shell patterns of such: {besides}{either(kinds)}.",
        flag_values=flags,
    )


def out(flags: FlagValues, default: str | None = None, holds: str = "Folder for results.") -> None:
    """``--out``: the folder for results."""
    absl_flags.DEFINE_string("out", default, holds, flag_values=flags)


def workdir(flags: FlagValues, default: str | None = None) -> None:
    """``--workdir``: the run folder."""
    absl_flags.DEFINE_string("workdir", default, "Run folder.", flag_values=flags)


def images(flags: FlagValues, used: str) -> None:
    """``--images``: image files, and folders of them."""
    absl_flags.DEFINE_list(
        "images",
        [],
        f"Image files, and folders that are searched at any depth, with commas between: {used}",
        flag_values=flags,
    )


def samples(flags: FlagValues, default: int | None, used: str, lower_bound: int = 1) -> None:
    """``--samples``: how many images."""
    absl_flags.DEFINE_integer(
        "samples", default, f"Number of images {used}", lower_bound, flag_values=flags
    )


def batch_size(flags: FlagValues, default: int) -> None:
    """``--batch_size``: how many images are computed at a time."""
    absl_flags.DEFINE_integer(
        "batch_size", default, "Images at a time.", lower_bound=1, flag_values=flags
    )


def checkpoint(flags: FlagValues) -> None:
    """``--checkpoint``: which weights of a run folder."""
    absl_flags.DEFINE_enum(
        "checkpoint", "best", ["best", "last"], "Which weights of a run folder.", flag_values=flags
    )


def overwrite(flags: FlagValues, what: str) -> None:
    """``--overwrite``: whether what is there is replaced."""
    absl_flags.DEFINE_bool("overwrite", False, f"Replace {what}.", flag_values=flags)


def seeds(flags: FlagValues) -> None:
    """``--seeds``: of several trainings."""
    absl_flags.DEFINE_list("seeds", ["0"], "Seeds of the trainings.", flag_values=flags)


def seed_numbers(flags: FlagValues) -> list[int]:
    """The seeds that the flags name; raises ``ValueError`` where one is none."""
    for text in flags.seeds:
        if not text.strip().isdigit():
            raise ValueError(f"`seeds` must be non-negative integers. Received: {text!r}")
    return [int(text) for text in flags.seeds]


def config(flags: FlagValues) -> None:
    """Define ``--config``, whose fields are flags too, ``--steps`` and ``--workdir``."""
    workdir(flags)
    absl_flags.DEFINE_integer(
        "steps",
        None,
        "Number of updates in place of the recipe's: milestones, warm-up, evaluations and "
        "checkpoints move along, all but those that --config.… sets.",
        lower_bound=1,
        flag_values=flags,
    )
    absl_flags.DEFINE_string(
        "config",
        None,
        "Recipe: its name or file, as NAME, NAME:smoke, FILE or FILE:smoke.",
        flag_values=flags,
        allow_override=True,  # by the recipe itself, in `read_recipe`
    )


def fields_help(fields: Mapping) -> str:
    """The fields as ``--help`` tells them."""
    lines = [
        f"  --{name}: {field.expected}\n    (default: {field.default!r})"
        for name, field in fields.items()
    ]
    return "\n".join(["Fields of a recipe, and what they are where it does not set them:", *lines])


def chosen_recipe(flags: FlagValues, arguments: Sequence[str]) -> ConfigDict:
    """The recipe that the flags ask for; ``ValueError`` if one of them is missing or wrong."""
    check(flags, arguments)
    if flags.config is None or flags.workdir is None:
        raise ValueError("`--config` and `--workdir` are required.")
    given = config_flags.get_override_values(flags["config"])
    _forget_options(flags.config, given)
    if flags.steps is None:
        return flags.config
    if "steps" in given:
        raise ValueError("Give either `--steps` or `--config.steps`.")
    from srm_keras.training import with_steps

    return with_steps(flags.config, flags.steps, keep=given)


def _forget_options(config: ConfigDict, given: Mapping[str, Any]) -> None:
    """Drops the recipe's ``model.options`` where ``given`` names a network that is not ours.

    They are for the recipe's own network; those that ``given`` has too stay.
    """
    if "model.name" not in given or "model.options" in given:
        return
    from srm_keras.models.adapted import is_adaptable

    if is_adaptable(config.model.name):
        own = [path.removeprefix("model.options.") for path in given]
        options = config.model.options.items()
        config.model.options = ConfigDict({name: value for name, value in options if name in own})


def recipe_file(flags: FlagValues) -> str:
    """The file of the recipe that ``--config`` names."""
    return flags.config_file


def read_recipe(
    flags: FlagValues, arguments: Sequence[str], fields: Mapping[str, Any]
) -> list[str]:
    """Put the recipe that ``--config`` names into ``flags``, and return the other arguments.

    Each field that the command line sets becomes a flag, which takes its value when the arguments
    returned are parsed. ``recipe_file`` then knows the file. Fields that are mappings, such as
    ``config.model.options``, take entries that the recipe does not have.

    Raises:
        ValueError: There is no such recipe, or its file gives none; the message says why.
        AttributeError: The command line sets a field that the recipe does not have.
    """
    chosen, others = None, []
    left = iter(arguments)
    for argument in left:
        flag, equals, value = argument.partition("=")
        if flag not in ("-config", "--config"):
            others.append(argument)
        elif (given := value if equals else next(left, None)) is not None:
            chosen = given
        else:
            others.append(argument)  # whose value is missing, as parsing will say
    if chosen is None:
        return others
    name, colon, form = chosen.partition(":")
    file = _file_of(name)
    recipe = _recipe(file, (form,) if colon else ())
    _make_room(recipe, others, [name for name, field in fields.items() if field.default == {}])
    absl_flags.DEFINE_string("config_file", file, "The recipe's file.", flag_values=flags)
    config_flags.DEFINE_config_dict("config", recipe, flag_values=flags, sys_argv=others)
    return others


def _make_room(recipe: ConfigDict, arguments: Sequence[str], mappings: Collection[str]) -> None:
    """Give the recipe's mappings an entry for each one more that the arguments set."""
    for argument in arguments:
        group, _, entry = argument.lstrip("-").partition("=")[0].rpartition(".")
        if group not in mappings:
            continue
        _, *path = group.split(".")
        mapping = functools.reduce(lambda inner, name: (inner or {}).get(name), path, recipe)
        if isinstance(mapping, ConfigDict) and entry not in mapping:
            with mapping.unlocked():
                mapping[entry] = placeholder(object)


def _file_of(name: str) -> str:
    from srm_keras.recipes import list_recipes, recipe_file
    from srm_keras.support.validation import nearest

    known = list_recipes()
    if name in known:
        return str(recipe_file(name))
    if not Path(name).is_file():
        raise ValueError(
            f"`--config` must be a file or one of {', '.join(known)}. "
            f"Received: {name!r}{nearest(name, known)}"
        )
    return name


def _recipe(file: str, form: Sequence[str]) -> ConfigDict:
    """What ``get_config(*form)`` of the file gives; ``ValueError`` unless it is a recipe."""
    received = f"Received: --config={':'.join([file, *form])}"
    try:
        loader = importlib.machinery.SourceFileLoader("recipe", file)
        module = ModuleType("recipe")
        loader.exec_module(module)
        recipe = module.get_config(*form)
    except SyntaxError as error:
        raise ValueError(
            f"`--config` must be a recipe in Python: {error.msg} in line {error.lineno}. {received}"
        ) from error
    except Exception as error:
        raise ValueError(
            "`--config` must be a file whose `get_config(form)` gives the recipe; it fails with "
            f"{type(error).__name__}: {error}. {received}"
        ) from error
    if not isinstance(recipe, ConfigDict):
        raise ValueError(
            "`--config` must be a file whose `get_config(form)` gives an ml_collections "
            f"ConfigDict, not {type(recipe).__name__}. {received}"
        )
    return recipe


def check(flags: FlagValues, arguments: Sequence[str], *required: str) -> None:
    """Raise ``ValueError`` if there are arguments that are no flags, or a flag has no value."""
    if arguments:
        raise ValueError(f"Arguments must be flags. Received: {' '.join(arguments)}")
    require(flags, *required)


def require(flags: FlagValues, *required: str) -> None:
    """Raise ``ValueError`` unless each of the flags has a value."""
    if all(_has_value(flags[name].value) for name in required):
        return
    *others, last = [f"`--{name}`" for name in required]
    if not others:
        raise ValueError(f"{last} is required.")
    raise ValueError(f"{', '.join(others)} and {last} are required.")


def _has_value(value: Any) -> bool:
    return value is not None and value != [] and value != ""
