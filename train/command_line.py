"""The flags of the training commands: a recipe by its name or file, and where the run goes."""

import functools
import importlib.util
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from absl import flags
from ml_collections import ConfigDict, config_flags

from tools import command_line

CONFIG = config_flags.DEFINE_config_file(
    "config", None, "Recipe: its name or file, as NAME, NAME:smoke, FILE or FILE:smoke."
)
WORKDIR = flags.DEFINE_string("workdir", None, "Folder that the run is written to.")
STEPS = flags.DEFINE_integer(
    "steps",
    None,
    "Number of updates in place of the recipe's: milestones, warm-up, evaluations and checkpoints "
    "move along, all but those that --config.… sets.",
    lower_bound=1,
)


def start(main: Callable[[Sequence[str]], Any], recipes: str) -> None:
    """Runs a training command and leaves the process.

    Exit status: 0, 1 for an error, 128 + n for the signal n, after which the same command goes on.

    Args:
        main: The command.
        recipes: The module whose FIELDS its recipes have.
    """
    for flag in (CONFIG, WORKDIR, STEPS):
        flags.FLAGS.register_key_flag_for_module(sys.argv[0], flags.FLAGS[flag.name])
    command_line.start(functools.partial(call, main), lambda argv: parse_flags(argv, recipes))


def recipe() -> ConfigDict:
    """The recipe that the flags ask for."""
    from srm_keras.training import with_steps

    if not STEPS.present:
        return CONFIG.value
    given = config_flags.get_override_values(flags.FLAGS["config"])
    return with_steps(CONFIG.value, STEPS.value, keep=given)


def recipe_file() -> str:
    """The file of the recipe that --config names."""
    return config_flags.get_config_filename(flags.FLAGS["config"]).partition(":")[0]


def seed(text: str) -> int:
    """The seed that an entry of `--seeds` is; raises `ValueError` if it is none."""
    if not text.strip().isdigit():
        raise ValueError(f"`seeds` must be non-negative integers. Received: {text!r}")
    return int(text)


def call(main: Callable[[Sequence[str]], Any], argv: Sequence[str]) -> Any:
    """Return the exit status of `main(argv)`; a training that was stopped says how to go on."""
    from srm_keras.training import Interrupted

    try:
        return main(argv)
    except Interrupted as stopped:
        print(stopped, file=sys.stderr)
        return 128 + (stopped.signal or 0)


def parse_flags(argv: Sequence[str], recipes: str) -> list[str]:
    """Parses the command line; anything wrong with it ends in one line on stderr."""
    try:
        if command_line.asks_for_help(argv):
            command_line.show_help(_described(recipes))
        arguments = _with_file(argv)
        fields = [f"config.{name}" for name in importlib.import_module(recipes).FIELDS]
        rest = command_line.parse_flags(arguments, fields)
        if not CONFIG.present or not WORKDIR.present:
            raise ValueError("`--config` and `--workdir` are required.")
        command_line.check_flags(rest)
        if STEPS.present and "steps" in config_flags.get_override_values(flags.FLAGS["config"]):
            raise ValueError("Give either `--steps` or `--config.steps`.")
    except AttributeError as error:
        cause = error.args[0]  # ml_collections wraps a KeyError with the name and the nearest one
        text = cause.args[0] if isinstance(cause, KeyError) else cause
        return command_line.stop(f"the recipe has no field {text}")
    except ValueError as error:
        return command_line.stop(error)
    return rest


def _described(recipes: str) -> str:
    """The fields of a recipe, as flags."""
    fields = importlib.import_module(recipes).FIELDS
    lines = [
        f"  --config.{name}: {field.expected}\n    (default: {field.default!r})"
        for name, field in fields.items()
    ]
    return "\n".join(["Fields of a recipe, and what they are where it does not set them:", *lines])


def _with_file(argv: Sequence[str]) -> list[str]:
    """The command line with the file of the recipe in place of its name.

    Raises:
        ValueError: There is no such recipe, or its file gives none; the message says why.
    """
    arguments = list(argv)
    for place, argument in enumerate(arguments):
        flag, equals, value = argument.partition("=")
        if flag.lstrip("-") != "config" or not flag.startswith("-"):
            continue
        if not equals and place + 1 < len(arguments):
            place, value, flag = place + 1, arguments[place + 1], ""
        name, colon, form = value.partition(":")
        file = _file_of(name)
        _check(file, (form,) if colon else ())
        arguments[place] = f"{flag}{'=' * bool(flag)}{file}{colon}{form}"
    return arguments


def _file_of(name: str) -> str:
    from srm_keras.recipes import list_recipes, recipe_file
    from srm_keras.validation import nearest

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
    """Raises `ValueError` unless `get_config(*form)` of the file gives a recipe."""
    received = f"Received: --config={':'.join([file, *form])}"
    try:
        spec = importlib.util.spec_from_loader(
            "recipe", importlib.machinery.SourceFileLoader("recipe", file)
        )
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
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
