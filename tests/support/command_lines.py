"""Command lines in this process, which has its libraries loaded already."""

import importlib
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from functools import partial
from io import StringIO
from types import ModuleType
from unittest import mock

from absl import flags

from tools import command_line
from train import command_line as of_trainings

Done = subprocess.CompletedProcess[str]
_defined: dict[str, dict[str, flags.Flag]] = {}


def command(module: str, *arguments: object) -> Done:
    """Do here what ``python -m module arguments`` does, with the flags of that module alone.

    What an exception that escapes ``main`` does there, it does here too: it is raised.
    """
    out, err = StringIO(), StringIO()
    line = [module, *map(str, arguments)]
    with redirect_stdout(out), redirect_stderr(err), mock.patch.object(sys, "argv", line):
        code = _exit_code(module, line)
    return Done(line, code, out.getvalue(), err.getvalue())


def _exit_code(module: str, line: list[str]) -> int:
    main = _with_its_flags_alone(module).main
    try:
        if module.startswith("train."):
            main = partial(of_trainings.call, main)
            rest = of_trainings.parse_flags(line, "srm_keras.training.recipe")
        else:
            rest = command_line.parse_flags(line)
        return command_line.call(main, rest) or 0
    except SystemExit as end:
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
            return 1
        return end.code or 0


def _with_its_flags_alone(module: str) -> ModuleType:
    """Import it; what other modules defined is put away, for their flags have the same names."""
    for name, found in flags.FLAGS.flags_by_module_dict().items():
        if name.startswith(("tools.", "train.")):
            _defined.setdefault(name, {}).update({flag.name: flag for flag in found})
    known = {name for found in _defined.values() for name in found}
    for name in [name for name in flags.FLAGS if name in known or name.startswith("config.")]:
        delattr(flags.FLAGS, name)
    shared = "train.command_line" if module.startswith("train.") else module
    for name, flag in {**_defined.get(shared, {}), **_defined.get(module, {})}.items():
        flags.FLAGS[name] = flag
        flag.unparse()
    return importlib.import_module(module)
