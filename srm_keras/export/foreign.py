"""What the runners of optional packages have in common: the import and the checks."""

import importlib
import os
from collections.abc import Sequence
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
