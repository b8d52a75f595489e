"""What is done around packages of others: imported, kept quiet, and their files checked."""

import contextlib
import importlib
import os
import re
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any


def require(package: str, extra: str | None = None) -> Any:
    """Return the imported ``package``, or raise ``ImportError`` that says how to install it.

    Args:
        package: Its name.
        extra: Of this package, which brings it; None: it is installed by its name.
    """
    try:
        return importlib.import_module(package)
    except ImportError as error:
        brings = package if extra is None else f"'srm-keras[{extra}]'"
        raise ImportError(
            f"The package {package!r} is needed and cannot be imported ({first_line(error)}). "
            f"Install it with: pip install {brings}"
        ) from error


@contextlib.contextmanager
def quiet(of_it: Callable[[str], str] = lambda text: "") -> Iterator[None]:
    """Hold back what converters print, in whatever language they are written; shown if they fail.

    TensorFlow, Keras and the converters tell of every step on stdout and stderr, most of it from
    C++, where no logger of Python's reaches.

    Args:
        of_it: Gives, of all that was held back, what is shown although nothing failed.
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
        shown = of_it
        try:
            yield
        except Exception:
            shown = str
            raise
        finally:
            stack.close()
            held.seek(0)
            sys.stderr.write(shown(held.read()))


def keep_matplotlib_importable() -> None:
    """Make Matplotlib importable whatever MPLBACKEND says; to be called before Keras imports it.

    A notebook hands the name of its own backend down to the commands that it starts, and Matplotlib
    refuses to be imported where that one is not installed. Nothing here needs it: ``figures`` draws
    into files by Agg. A backend that is installed stays the user's choice.
    """
    if not os.environ.get("MPLBACKEND") or "matplotlib" in sys.modules:
        return
    chosen = os.environ.pop("MPLBACKEND")
    with contextlib.suppress(ImportError):  # without Matplotlib there is nothing to choose
        import matplotlib

        try:
            matplotlib.rcParams["backend"] = chosen
        except ValueError:
            chosen = "agg"
    os.environ["MPLBACKEND"] = chosen


def load(name: str) -> ModuleType:
    """Import a module of this package without what TensorFlow tells of processors as it starts.

    No setting of TensorFlow stops these lines. If the import fails all of them are shown; else
    its errors, but not that it finds no GPU where there is no driver of any.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    if "keras" in sys.modules:
        return importlib.import_module(name)
    with quiet(errors):
        module = importlib.import_module(name)
        if "tensorflow" in sys.modules:  # it looks for GPUs, and tells of them, when first asked
            sys.modules["tensorflow"].config.list_physical_devices()
    return module


def errors(told: str) -> str:
    """The lines that tell of errors in C++; of a GPU only where there is a driver for one."""
    lines = [line for line in told.splitlines(keepends=True) if re.match(r"[EF]\d{4} ", line)]
    without_driver = "Could not find cuda drivers" in told
    return "".join(line for line in lines if not (without_driver and "cuInit" in line))


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
