"""``srm-keras COMMAND --flags``: finds the command, reads its flags, and ends errors in one line.

A command is a module of this package: its docstring is its help, ``define(flags)`` defines its
flags and ``main(flags, arguments)`` runs it and may return an exit status. ``RECIPES``, where there
is one, names the module whose ``FIELDS`` the recipes of ``--config`` have, and ``RENAMED`` maps
flags of earlier versions to what they are called now. Flags live in a ``FlagValues`` of their own
for each call, so that several commands can run in one process.
"""

import contextlib
import io
import itertools
import sys
import tempfile
import time
import traceback
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType

from absl import flags as absl_flags
from absl import logging

from srm_keras.cli import flags as shared
from srm_keras.support.foreign import load

COMMANDS = {
    "train": "Trains an image classifier from a recipe.",
    "cross_validate": "Compares modules by cross-validation: folds × modules × seeds.",
    "train_stylizer": "Trains a style transfer network from a recipe.",
    "compare_stylizers": "Trains stylizers that differ in normalization and modules.",
    "export": "Exports a trained network to SavedModel, TFLite, ONNX and the web.",
    "predict": "Says what a trained network sees in image files.",
    "serve": "Serves a trained network over HTTP.",
    "stylize": "Paints images with a trained stylization network.",
    "stylize_dataset": "Makes a stylized copy of a data set.",
    "convert": "Converts weights of PyTorch and keras.applications, and back.",
    "preset": "Saves a trained network as a preset, and checks presets.",
    "complexity": "Counts parameters and multiply-adds of a network.",
    "gates": "Shows what gates do, and how much channels say the same.",
    "top_activations": "Shows the images that lead to the highest weight of each channel.",
    "grad_cam": "Shows where in an image the evidence for a class lies.",
    "prune": "Prunes channels of every image by its own gates and measures the accuracy left.",
    "compare": "Sets training runs side by side: one picture, one table.",
    "paper_tables": "Sets the paper's tables and figures beside what was computed here.",
    "demo": "Trains, evaluates and exports an SRM network on embedded data.",
    "recipes": "Lists the recipes, or shows one.",
    "models": "Lists the networks that can be built, and trained ones, by name.",
}
HELP = ("help", "--help", "-help", "-h", "-?", "--helpshort", "--helpfull")
OWN_LINE = (ValueError, ImportError, OSError, FloatingPointError)
"""Errors whose text is written for people; others get the name of their class before it."""
LONG_SECONDS = 30
"""Work that took longer and then failed leaves its traceback in a file, whatever the error."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line.

    Args:
        argv: The name of a command and its flags; by default what the process was started with.

    Returns:
        The exit status: 0, 1 for an error, 130 after Ctrl+C, 128 + n after the signal n.
    """
    name, *arguments = (sys.argv[1:] if argv is None else argv) or ["help"]
    if name in HELP and not arguments:
        print(overview())
        return 0
    if name in HELP:
        name, arguments = arguments[0], ["--help"]
    if name not in COMMANDS:
        return fail(
            f"There is no command {name!r}{_nearest(name, COMMANDS)}; `srm-keras help` lists all."
        )
    return run(load(f"srm_keras.cli.{name}"), arguments, f"srm-keras {name}")


def overview() -> str:
    """The commands, a line each."""
    width = max(map(len, COMMANDS)) + 2
    lines = [f"  {name:{width}}{summary}" for name, summary in COMMANDS.items()]
    return "\n".join(
        [
            "srm-keras: channel attention for Keras 3.",
            "",
            "  srm-keras COMMAND --flag=value …",
            "  srm-keras COMMAND --help",
            "",
            *lines,
        ]
    )


def script(name: str) -> None:
    """Run the command called ``name`` with the flags of this process, and leave the process."""
    sys.exit(main([name, *sys.argv[1:]]))


def run(command: ModuleType, arguments: Sequence[str], program: str) -> int:
    """Run the command in ``command`` with ``arguments``, and return the exit status."""
    if isinstance(sys.stdout, io.TextIOWrapper):  # names of files need not be UTF-8
        sys.stdout.reconfigure(errors="backslashreplace")
    logging.set_verbosity(logging.WARNING)  # TensorFlow notes every name in a SavedModel
    flags = absl_flags.FlagValues()
    absl_flags.DEFINE_bool("debug", False, "Show the traceback of an error.", flag_values=flags)
    command.define(flags)
    fields = load(command.RECIPES).FIELDS if hasattr(command, "RECIPES") else {}
    fields = {f"config.{field}": value for field, value in fields.items()}
    if _asks_for_help(arguments):
        description = (command.__doc__ or "").replace("``", "`")
        print(f"{description}\n{_flags_help(flags)}")
        print(f"\n{shared.fields_help(fields)}" if fields else "")
        return 0
    try:
        others = shared.read_recipe(flags, arguments, fields) if fields else list(arguments)
        with _argv([program, *arguments]):
            renamed = getattr(command, "RENAMED", {})
            return _run(command, flags, _parse(flags, [program, *others], fields, renamed))
    except AttributeError as error:
        cause = error.args[0]  # ml_collections wraps a KeyError with the name and the nearest one
        text = cause.args[0] if isinstance(cause, KeyError) else cause
        return fail(f"the recipe has no field {text}")
    except (absl_flags.Error, ValueError) as error:
        return fail(error)


def fail(error: BaseException | str, log: Path | None = None) -> int:
    """Print one line on stderr and return the exit status 1."""
    text = " ".join(str(error).split()) or type(error).__name__
    if isinstance(error, Exception) and not isinstance(error, (*OWN_LINE, absl_flags.Error)):
        text = f"{type(error).__name__}: {text}"
    print(f"error: {text}{f' (traceback in {log})' if log else ''}", file=sys.stderr)
    return 1


def _run(command: ModuleType, flags: absl_flags.FlagValues, arguments: list[str]) -> int:
    begun = time.monotonic()
    try:
        load("srm_keras.models")  # registers the layers that files of networks name
        return command.main(flags, arguments) or 0
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
        return 130
    except SystemExit as end:
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
            return 1
        return end.code or 0
    except Exception as error:
        if flags.debug:
            traceback.print_exc()
        if (stopped := _signal(error)) is not None:
            print(error, file=sys.stderr)
            return 128 + stopped
        expected = isinstance(error, OWN_LINE) and time.monotonic() - begun < LONG_SECONDS
        return fail(error, None if flags.debug or expected else _log(flags))


def _signal(error: Exception) -> int | None:
    """The signal that ended a training which goes on when it is started again; None of others."""
    if isinstance(error, OWN_LINE):
        return None
    from srm_keras.training import Interrupted

    return (error.signal or 0) if isinstance(error, Interrupted) else None


def _parse(
    flags: absl_flags.FlagValues,
    argv: Sequence[str],
    fields: Iterable[str],
    renamed: Mapping[str, str],
) -> list[str]:
    """Read the flags and return what is no flag."""
    try:
        return flags(argv)[1:]
    except absl_flags.UnrecognizedFlagError as error:
        known = [f"--{name}" for name in [*flags, *fields]]
        meant = f"--{renamed.get(error.flagname, error.flagname)}"
        hint = _nearest(meant, known)
        raise ValueError(
            f"There is no flag --{error.flagname}{hint or '; --help lists those that there are'}."
        ) from None


def _flags_help(flags: absl_flags.FlagValues) -> str:
    lines = ["Flags:"]
    for name in sorted(flags):
        flag = flags[name]
        title = f"--{'[no]' * flag.boolean}{name}: {flag.help}"
        lines.append(absl_flags.text_wrap(title, 100, indent="    ", firstline_indent="  "))
        if flag.default_as_str:
            lines.append(f"    (default: {flag.default_as_str})")
    return "\n".join(lines)


def _asks_for_help(arguments: Sequence[str]) -> bool:
    given = itertools.takewhile(lambda argument: argument != "--", arguments)
    return any(argument in HELP[1:] for argument in given)


def _nearest(name: str, known: Iterable[str]) -> str:
    from srm_keras.support.validation import nearest  # with NumPy, which `help` does without

    return nearest(name, known)


@contextlib.contextmanager
def _argv(argv: list[str]) -> Iterator[None]:
    """``sys.argv`` as of a process of its own, for ``error.log``."""
    before, sys.argv = sys.argv, argv
    try:
        yield
    finally:
        sys.argv = before


def _log(flags: absl_flags.FlagValues) -> Path:
    """Write the traceback of the current error to a file, beside the results if there are any."""
    folders = [getattr(flags, name) for name in ("workdir", "out") if name in flags]
    there = [Path(folder) for folder in folders if folder and Path(folder).is_dir()]
    folder = there[0] if there else Path(tempfile.mkdtemp(prefix="srm-keras-"))
    log = folder / "error.log"
    log.write_text(f"{' '.join(sys.argv)}\n\n{traceback.format_exc()}", errors="backslashreplace")
    return log
