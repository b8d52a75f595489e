"""What every command does with its command line."""

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest
from absl import app, flags

from tools.command_line import check_flags, require, start

ROOT = Path(__file__).parents[1]


def run(*arguments):
    command = [sys.executable, "-m", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


@pytest.fixture
def given():
    """Three flags of a command line of their own, of which the last has no value."""
    values = flags.FlagValues()
    run, out, data = (
        flags.DEFINE_string(name, None, "Help.", flag_values=values)
        for name in ("run", "out", "data")
    )
    values(["tool", "--run=a", "--out=b"])
    return run, out, data


def test_flags_alone_with_all_that_is_required_pass(given):
    run, out, _ = given
    check_flags(["tool"], run, out)
    check_flags(["tool"])


def test_other_arguments_are_named(given):
    with pytest.raises(ValueError, match=r"^Arguments must be flags. Received: x y$"):
        check_flags(["tool", "x", "y"], *given)


def test_all_that_is_required_is_named(given):
    run, out, data = given
    with pytest.raises(ValueError, match=r"^`--data` is required.$"):
        require(data)
    with pytest.raises(ValueError, match=r"^`--run` and `--data` are required.$"):
        check_flags(["tool"], run, data)
    with pytest.raises(ValueError, match=r"^`--run`, `--out` and `--data` are required.$"):
        require(run, out, data)


def test_help_tells_of_every_flag_and_ends_well():
    done = run("tools.export", "--help")
    assert done.returncode == 0
    assert done.stdout.startswith("Exports a trained network to every format")
    for flag in ("run", "out", "checkpoint", "formats", "samples", "representative"):
        assert f"  --{flag}: " in done.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--modle=x"], "There is no flag --modle (did you mean --model?)."),
        (["--zzz"], "There is no flag --zzz; --help lists those that there are."),
        (["--top=x"], "flag --top=x: invalid literal for int() with base 10: 'x'"),
        (["--model"], "Missing value for flag --model"),
        (["photo.jpg"], "`--model` is required."),
    ],
)
def test_wrong_flags_end_in_one_line(arguments, message):
    done = run("tools.predict", *arguments)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr == f"error: {message}\n"


@pytest.mark.parametrize(
    ("raised", "status"),
    [
        (ValueError("two\nlines"), "error: two lines"),
        (ModuleNotFoundError("No module named 'x'"), "error: No module named 'x'"),
        (OSError(28, "No space left on device"), "error: [Errno 28] No space left on device"),
        (FloatingPointError(), "error: FloatingPointError"),
        (KeyboardInterrupt(), 130),
    ],
)
def test_what_a_user_can_put_right_is_one_line(raised, status, monkeypatch):
    monkeypatch.setattr(app, "run", lambda main, flags_parser: sys.exit(main(["tool"])))

    def main(argv):
        raise raised

    with pytest.raises(SystemExit) as ended:
        start(main)
    assert ended.value.code == status


def test_names_that_are_not_utf_8_are_printed(monkeypatch):
    monkeypatch.setattr(app, "run", lambda main, flags_parser: sys.exit(main(["tool"])))
    printed = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(printed, encoding="utf-8"))
    with pytest.raises(SystemExit):
        start(lambda argv: print(os.fsdecode(b"caf\xe9.jpg"), flush=True))
    assert printed.getvalue() == b"caf\\udce9.jpg\n"
