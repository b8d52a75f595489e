"""``--config``: the recipe of a training, by its name or file, and ``--steps``, which moves it."""

import importlib.machinery
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType

from absl import flags as absl_flags
from absl.flags import FlagValues
from ml_collections import ConfigDict, config_flags

from srm_keras.cli import flags as shared


def define(flags: FlagValues) -> None:
    """Define ``--config``, whose fields are flags too, ``--steps`` and ``--workdir``."""
    shared.workdir(flags)
    absl_flags.DEFINE_integer(
        "steps",
        None,
        "Number of updates in place of the recipe's: milestones, warm-up, evaluations and "
        "checkpoints move along, all but those that --config.… sets.",
        lower_bound=1,
        flag_values=flags,
    )
    config_flags.DEFINE_config_file(
        "config",
        None,
        "Recipe: its name or file, as NAME, NAME:smoke, FILE or FILE:smoke.",
        flag_values=flags,
    )


def fields_help(fields: Mapping) -> str:
    """The fields as ``--help`` tells them."""
    lines = [
        f"  --{name}: {field.expected}\n    (default: {field.default!r})"
        for name, field in fields.items()
    ]
    return "\n".join(["Fields of a recipe, and what they are where it does not set them:", *lines])


def recipe(flags: FlagValues, arguments: Sequence[str]) -> ConfigDict:
    """The recipe that the flags ask for; ``ValueError`` if one of them is missing or wrong."""
    shared.check(flags, arguments)
    if flags.config is None or flags.workdir is None:
        raise ValueError("`--config` and `--workdir` are required.")
    given = config_flags.get_override_values(flags["config"])
    if flags.steps is None:
        return flags.config
    if "steps" in given:
        raise ValueError("Give either `--steps` or `--config.steps`.")
    from srm_keras.training import with_steps

    return with_steps(flags.config, flags.steps, keep=given)


def recipe_file(flags: FlagValues) -> str:
    """The file of the recipe that ``--config`` names."""
    return config_flags.get_config_filename(flags["config"]).partition(":")[0]


def with_file(arguments: Sequence[str]) -> list[str]:
    """The command line with the file of the recipe in place of its name.

    Raises:
        ValueError: There is no such recipe, or its file gives none; the message says why.
    """
    replaced = list(arguments)
    for place, argument in enumerate(arguments):
        flag, equals, value = argument.partition("=")
        if not flag.startswith("-") or flag.lstrip("-") != "config":
            continue
        if equals:
            replaced[place] = f"{flag}={_checked(value)}"
        elif place + 1 < len(arguments):
            replaced[place + 1] = _checked(arguments[place + 1])
    return replaced


def _checked(value: str) -> str:
    """``FILE`` or ``FILE:form`` of ``NAME``, ``NAME:form``, ``FILE`` or ``FILE:form``."""
    name, colon, form = value.partition(":")
    file = _file_of(name)
    _check(file, (form,) if colon else ())
    return f"{file}{colon}{form}"


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


def _check(file: str, form: Sequence[str]) -> None:
    """Raises ``ValueError`` unless ``get_config(*form)`` of the file gives a recipe."""
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
