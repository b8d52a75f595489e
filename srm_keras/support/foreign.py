"""What the runners of optional packages have in common: the import and the checks."""

import contextlib
import importlib
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any


def require(package: str) -> Any:
    """Return the imported ``package``, or raise ``ImportError`` that says how to install it."""
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise ImportError(
            f"The package {package!r} is needed and cannot be imported ({first_line(error)}). "
            f"Install it with: pip install {package}"
        ) from error


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Hold back what converters print, in whatever language they are written; shown if they fail.

    TensorFlow, Keras and the converters tell of every step on stdout and stderr, most of it from
    C++, where no logger of Python's reaches.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    with tempfile.TemporaryFile("w+", errors="replace") as held, contextlib.ExitStack() as stack:
        for stream in (1, 2):
            try:
                kept = os.dup(stream)
            except OSError:  # nothing is printed where it is closed
                continue
            stack.callback(os.close, kept)
            stack.callback(os.dup2, kept, stream)
            os.dup2(held.fileno(), stream)
        stack.enter_context(contextlib.redirect_stdout(held))
        stack.enter_context(contextlib.redirect_stderr(held))
        try:
            yield
        except Exception:
            stack.close()
            held.seek(0)
            sys.stderr.write(held.read())
            raise
        finally:
            held.flush()


def check_file(path: str | os.PathLike) -> None:
    """Raise ``ValueError`` unless ``path`` is a file."""
    if not Path(path).is_file():
        raise ValueError(f"`path` must be a file that exists. Received: path={os.fspath(path)!r}")


def unreadable(path: str | os.PathLike, reader: str, error: Exception) -> ValueError:
    """The error to raise where ``reader`` cannot load the file at ``path``."""
    return ValueError(
        f"`path` must be a file that {reader} can run ({first_line(error)}). "
        f"Received: path={os.fspath(path)!r}"
    )


def check_counts(path: str | os.PathLike, inputs: Sequence, outputs: Sequence) -> None:
    """Raise ``ValueError`` unless a network has one input and one output."""
    if len(inputs) != 1 or len(outputs) != 1:
        raise ValueError(
            "`path` must be a network with one input and one output. "
            f"Received: path={os.fspath(path)!r} with {len(inputs)} and {len(outputs)}"
        )


def first_line(error: Exception) -> str:
    """The first line of an error's message, or the name of its class."""
    return str(error).strip().split("\n")[0] or type(error).__name__
