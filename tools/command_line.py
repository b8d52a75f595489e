"""What every command does with its command line: help, wrong flags, errors in one line."""

import difflib
import io
import itertools
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from absl import app, flags

HELP = ("--help", "-help", "-h", "-?", "--helpshort", "-helpshort")

Parse = Callable[[Sequence[str]], list[str]]


def parse_flags(argv: Sequence[str], fields: Iterable[str] = ()) -> list[str]:
    """Parse the command line and return what is no flag; what is wrong with it ends in one line.

    Args:
        argv: the command line.
        fields: names of flags beside those that are defined, to find what an unknown one is like.
    """
    if asks_for_help(argv):
        show_help()
    try:
        return flags.FLAGS(list(argv))
    except flags.UnrecognizedFlagError as error:
        defined = flags.FLAGS.get_key_flags_for_module(argv[0])
        known = [*(flag.name for flag in defined), *fields]
        return stop(f"There is no flag --{error.flagname}{_nearest(error.flagname, known)}.")
    except flags.Error as error:
        return stop(error)


def asks_for_help(argv: Sequence[str]) -> bool:
    """Whether ``--help`` is among the flags."""
    given = itertools.takewhile(lambda argument: argument != "--", argv[1:])
    return any(argument in HELP for argument in given)


def show_help(more: str = "") -> None:
    """Print what the command does, its flags and ``more``, and leave the process."""
    app.usage(shorthelp=True, writeto_stdout=True)
    print(f"\n{more}" if more else "")
    sys.exit(0)


def start(main: Callable[[Sequence[str]], Any], parse: Parse = parse_flags) -> None:
    """Run a command and leave the process.

    What a user can put right ends in one line on stderr and exit status 1, Ctrl-C in 130.

    Args:
        main: called with the program's name and the arguments that are no flags.
        parse: reads the flags.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # before TensorFlow is imported
    if isinstance(sys.stdout, io.TextIOWrapper):  # names of files need not be UTF-8
        sys.stdout.reconfigure(errors="backslashreplace")
    app.run(lambda argv: call(main, argv), flags_parser=parse)


def call(main: Callable[[Sequence[str]], Any], argv: Sequence[str]) -> Any:
    """Return the exit status of ``main(argv)``; what a user can put right ends in one line."""
    try:
        return main(argv)
    except (ValueError, ImportError, OSError, FloatingPointError) as error:
        return stop(error)
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
        return 130


def stop(error: Exception | str) -> Any:
    """Leave the process with one line on stderr and exit status 1."""
    sys.exit(f"error: {' '.join(str(error).split()) or type(error).__name__}")


def check_flags(argv: Sequence[str], *required: flags.FlagHolder) -> None:
    """Check the command line of a tool that takes flags alone.

    Args:
        argv: what ``main`` gets: the name of the program and the arguments that are no flags.
        required: flags that must have a value.

    Raises:
        ValueError: there are other arguments, or a required flag has no value.
    """
    if len(argv) > 1:
        raise ValueError(f"Arguments must be flags. Received: {' '.join(argv[1:])}")
    require(*required)


def require(*required: flags.FlagHolder) -> None:
    """Raise ``ValueError`` unless each of the flags has a value."""
    if all(flag.value for flag in required):
        return
    *others, last = [f"`--{flag.name}`" for flag in required]
    if not others:
        raise ValueError(f"{last} is required.")
    raise ValueError(f"{', '.join(others)} and {last} are required.")


def _nearest(name: str, known: Sequence[str]) -> str:
    """`` (did you mean --x?)`` for the flag that is most like ``name``, or where to find them."""
    close = difflib.get_close_matches(name, known, n=1)
    return f" (did you mean --{close[0]}?)" if close else "; --help lists those that there are"
