"""Command lines in this process, which has its libraries loaded already."""

import importlib
import subprocess
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from io import StringIO

from absl import logging

from srm_keras.cli.main import main, run

Done = subprocess.CompletedProcess[str]


@contextmanager
def _same_verbosity():
    """Commands quiet the log of their process; tests after them look for warnings in it."""
    verbosity = logging.get_verbosity()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)


def command(name: str, *arguments: object) -> Done:
    """Do here what ``srm-keras name arguments`` does; of ``tools.x``, what that module does."""
    out, err = StringIO(), StringIO()
    line = [name, *map(str, arguments)]
    with redirect_stdout(out), redirect_stderr(err), _same_verbosity():
        if name.startswith("tools."):
            code = run(importlib.import_module(name), line[1:], name)
        else:
            code = main(line)
    return Done(line, code, out.getvalue(), err.getvalue())
