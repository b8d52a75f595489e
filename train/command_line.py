"""The flags of the training commands, and errors that end in one line on stderr."""

import contextlib
import sys
from collections.abc import Iterator, Sequence

from absl import flags
from ml_collections import config_flags

CONFIG = config_flags.DEFINE_config_file("config", None, "Recipe: FILE or FILE:smoke.")
WORKDIR = flags.DEFINE_string("workdir", None, "Folder that the run is written to.")


def parse_flags(argv: Sequence[str]) -> list[str]:
    """Parses the command line; anything wrong with it ends in one line on stderr."""
    try:
        rest = flags.FLAGS(argv)
        if not CONFIG.present or not WORKDIR.present:
            raise ValueError("`--config` and `--workdir` are required.")
        if len(rest) > 1:
            raise ValueError(f"Arguments must be flags. Received: {' '.join(rest[1:])}")
        CONFIG.value.to_dict()
    except OSError:
        given = " ".join(argv[1:])
        sys.exit(f"error: `--config` must be a recipe, FILE or FILE:smoke. Received: {given}")
    except AttributeError as error:
        cause = error.args[0]  # ml_collections wraps a KeyError with the name and the nearest one
        text = cause.args[0] if isinstance(cause, KeyError) else cause
        sys.exit(f"error: the recipe has no field {' '.join(str(text).split())}")
    except (flags.Error, ValueError) as error:
        sys.exit(f"error: {str(error).strip().splitlines()[-1]}")
    return rest


def seed(text: str) -> int:
    """The seed that an entry of `--seeds` is; raises `ValueError` if it is none."""
    if not text.strip().isdigit():
        raise ValueError(f"`seeds` must be non-negative integers. Received: {text!r}")
    return int(text)


@contextlib.contextmanager
def one_line_errors() -> Iterator[None]:
    """Turns what a training raises for people into one line on stderr and an exit status.

    1 for an error, 128 + n for the signal n, after which the same command goes on.
    """
    from srm_keras.training import Interrupted

    try:
        yield
    except (ValueError, FloatingPointError, OSError) as error:
        sys.exit(f"error: {error}")
    except Interrupted as stopped:
        print(stopped, file=sys.stderr)
        sys.exit(128 + (stopped.signal or 0))
    except KeyboardInterrupt:
        sys.exit("Interrupted before the first step.")
