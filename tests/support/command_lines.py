"""Command lines in this process, which has its libraries loaded already."""

import importlib
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from types import ModuleType

from absl import flags

Done = subprocess.CompletedProcess[str]
_defined: dict[str, dict[str, flags.Flag]] = {}


def command(module: str, *arguments: object) -> Done:
    """Do here what ``python -m module arguments`` does, with the flags of that module alone.

    What an exception that escapes ``main`` does there, it does here too: it is raised.
    """
    out, err = StringIO(), StringIO()
    line = [module, *map(str, arguments)]
    main = _with_its_flags_alone(module).main
    with redirect_stdout(out), redirect_stderr(err):
        code = _exit_code(main, line)
    return Done(line, code, out.getvalue(), err.getvalue())


def _exit_code(main, line: list[str]) -> int:
    try:
        main(flags.FLAGS(line))
    except flags.Error as error:
        print(f"FATAL Flags parsing error:\n  {error}", file=sys.stderr)
        return 1
    except SystemExit as end:
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
            return 1
        return end.code or 0
    return 0


def _with_its_flags_alone(module: str) -> ModuleType:
    """Import it; what other modules defined is put away, for their flags have the same names."""
    for name, found in flags.FLAGS.flags_by_module_dict().items():
        if name.startswith(("tools.", "train.")):
            _defined.setdefault(name, {}).update({flag.name: flag for flag in found})
    for name in {name for found in _defined.values() for name in found}:
        if name in flags.FLAGS:
            delattr(flags.FLAGS, name)
    for name, flag in _defined.get(module, {}).items():
        flags.FLAGS[name] = flag
        flag.unparse()
    return importlib.import_module(module)
