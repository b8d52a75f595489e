"""`srm-keras`: finding a command, its flags, its help, and errors in one line."""

import importlib
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from absl import flags as absl_flags

from srm_keras.cli import flags as shared
from srm_keras.cli.main import COMMANDS, LONG_SECONDS, main, run
from srm_keras.support.foreign import errors, quiet
from srm_keras.training.state_keeper import Interrupted
from tests.support.command_lines import command

ROOT = Path(__file__).parents[2]


def test_a_process_of_its_own_lists_every_command_and_no_chatter():
    listed = process("help")
    for name, summary in COMMANDS.items():
        assert f"  {name} " in listed.stdout
        assert summary in listed.stdout
    assert (listed.returncode, listed.stderr) == (0, "")
    assert process().stdout == listed.stdout


def test_a_process_that_computes_tells_nothing_of_processors():
    """TensorFlow does so on import, and of GPUs at the first computation."""
    done = process("--model=cifar_resnet20_basic", module="tools.complexity")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1].startswith("total")


def test_of_what_a_start_tells_errors_are_shown(capfd):
    notes = b"I0000 00:00:1.5 7 port.cc:153] oneDNN is on\nWARNING: before InitializeLog\n"
    error = b"E0000 00:00:1.5 7 cuda_platform.cc:52] failed call to cuInit: UNKNOWN ERROR (303)\n"
    no_driver = b"I0000 00:00:1.5 7 cudart_stub.cc:31] Could not find cuda drivers, no GPU\n"
    for told, shown in ((notes + error, error), (notes + no_driver + error, b"")):
        with quiet(errors):
            os.write(2, told)
        assert capfd.readouterr().err == shown.decode()


def process(*arguments, module="srm_keras"):
    """A process that a user starts, who says nothing of TensorFlow's messages."""
    environment = {**os.environ}
    environment.pop("TF_CPP_MIN_LOG_LEVEL", None)
    line = [sys.executable, "-m", *module.split(), *arguments]
    return subprocess.run(line, cwd=ROOT, env=environment, capture_output=True, text=True)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_that_begins_with_its_summary(name):
    done = command(name, "--help")
    assert done.returncode == 0
    assert done.stdout.startswith(COMMANDS[name].split()[0])
    assert f"    srm-keras {name}" in done.stdout
    assert "  --[no]debug: " in done.stdout
    assert command("help", name).stdout == done.stdout


def test_every_script_of_a_clone_names_a_command():
    for path in [*ROOT.glob("train/*.py"), *ROOT.glob("tools/*.py")]:
        text = path.read_text()
        if "    script(" in text:
            name = text.partition('script("')[2].partition('"')[0]
            assert name in COMMANDS, path


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["tran"],
            "There is no command 'tran' (did you mean 'train'?); `srm-keras help` lists all.",
        ),
        (["predict", "--modle=x"], "There is no flag --modle (did you mean '--model'?)."),
        (["convert", "--model=x"], "There is no flag --model (did you mean '--network'?)."),
        (["predict", "--zzz"], "There is no flag --zzz; --help lists those that there are."),
        (["predict", "--top=x"], "flag --top=x: invalid literal for int() with base 10: 'x'"),
        (["predict", "--model"], "Missing value for flag --model"),
        (["predict", "photo.jpg"], "`--model` is required."),
    ],
)
def test_wrong_command_lines_end_in_one_line(arguments, message):
    done = command(*arguments)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr == f"error: {message}\n"


def failing(error, out=None):
    """A command that fails, given to `run`."""

    def define(flags):
        shared.out(flags, default=out)

    def fail(flags, arguments):
        raise error

    return SimpleNamespace(__doc__="Fails.", define=define, main=fail)


@pytest.mark.parametrize(
    ("raised", "status", "line"),
    [
        (ValueError("two\nlines"), 1, "error: two lines"),
        (ModuleNotFoundError("No module named 'x'"), 1, "error: No module named 'x'"),
        (OSError(28, "No space left on device"), 1, "error: [Errno 28] No space left on device"),
        (FloatingPointError(), 1, "error: FloatingPointError"),
        (KeyboardInterrupt(), 130, "Interrupted."),
        (SystemExit("error: 2 images could not be read"), 1, "error: 2 images could not be read"),
        (
            Interrupted(3, 15, "go on"),
            143,
            "Stopped by SIGTERM after step 3, which is saved; go on",
        ),
    ],
)
def test_what_a_user_can_put_right_is_one_line(raised, status, line, capsys):
    assert run(failing(raised), [], "tool") == status
    assert capsys.readouterr().err == f"{line}\n"


def test_an_unforeseen_error_leaves_its_traceback_beside_the_results(tmp_path, capsys):
    assert run(failing(KeyError("lost"), str(tmp_path)), [], "srm-keras x") == 1
    log = tmp_path / "error.log"
    assert capsys.readouterr().err == f"error: KeyError: 'lost' (traceback in {log})\n"
    assert "in fail" in log.read_text()
    assert log.read_text().startswith("srm-keras x\n")


def test_an_error_after_long_work_leaves_its_traceback_too(tmp_path, capsys, monkeypatch):
    times = iter([0.0, LONG_SECONDS + 1.0])
    monkeypatch.setattr("time.monotonic", lambda: next(times))
    assert run(failing(ValueError("late"), str(tmp_path)), [], "srm-keras x") == 1
    assert capsys.readouterr().err == f"error: late (traceback in {tmp_path / 'error.log'})\n"


def test_debug_shows_the_traceback_and_writes_no_log(tmp_path, capsys):
    assert run(failing(KeyError("lost"), str(tmp_path)), ["--debug"], "srm-keras x") == 1
    told = capsys.readouterr().err
    assert told.startswith("Traceback")
    assert told.endswith("error: KeyError: 'lost'\n")
    assert not list(tmp_path.iterdir())


@pytest.fixture
def given():
    """Three flags, of which the last has no value."""
    flags = absl_flags.FlagValues()
    for name in ("model", "out", "data"):
        absl_flags.DEFINE_string(name, None, "Help.", flag_values=flags)
    flags(["tool", "--model=a", "--out=b"])
    return flags


def test_flags_alone_with_all_that_is_required_pass(given):
    shared.check(given, [], "model", "out")
    shared.check(given, [])


def test_other_arguments_are_named(given):
    with pytest.raises(ValueError, match=r"^Arguments must be flags. Received: x y$"):
        shared.check(given, ["x", "y"], "model")


def test_all_that_is_required_is_named(given):
    with pytest.raises(ValueError, match=r"^`--data` is required.$"):
        shared.require(given, "data")
    with pytest.raises(ValueError, match=r"^`--model` and `--data` are required.$"):
        shared.check(given, [], "model", "data")
    with pytest.raises(ValueError, match=r"^`--model`, `--out` and `--data` are required.$"):
        shared.require(given, "model", "out", "data")


SHARED = {
    "model": str,
    "models": list,
    "out": str,
    "workdir": str,
    "images": list,
    "samples": int,
    "checkpoint": str,
    "overwrite": bool,
    "seeds": list,
    "batch_size": int,
    "steps": int,
    "classes": int,
    "recalibrations": list,
}
"""Flags that mean the same in every command, and what their values are."""
VALUES = {str: "best", list: "1,2", int: "3", bool: "true"}


@pytest.mark.parametrize("name", COMMANDS)
def test_the_same_flag_takes_the_same_in_every_command(name):
    flags = absl_flags.FlagValues()
    _module(name).define(flags)
    for flag, kind in SHARED.items():
        if flag in flags:
            flags([name, f"--{flag}={VALUES[kind]}"])
            assert isinstance(flags[flag].value, kind), flag
    known = [" ".join(text.split()) for text in shared.KINDS.values()]
    for flag in ("model", "models"):
        if flag in flags:
            assert any(text in flags[flag].help for text in known), flag


def test_recipes_are_listed_and_shown():
    listed = command("recipes").stdout
    assert "texture_shapes" in listed
    assert "cifar100" in listed
    shown = command("recipes", "cifar10").stdout
    assert "def get_config(" in shown
    assert "did you mean 'cifar10'" in command("recipes", "cifar11").stderr


def test_networks_are_listed_by_pattern():
    stems = ("", "c", "d", "s", "t")
    listed = command("models", "srm_resnet5*").stdout
    rows = [line.split() for line in listed.splitlines()[2:]]
    assert [name for name, *_ in rows] == [f"srm_resnet50{stem}" for stem in stems]
    # Table 1 of the paper; the multiply-adds are those of a stride in the 3×3 convolution.
    assert rows[0][1:] == ["25,617,448", "4,111,291,904"]
    assert command("models", "nothing*").returncode == 1


def test_every_module_of_the_commands_is_listed():
    modules = {path.stem for path in (ROOT / "srm_keras" / "cli").glob("[!_]*.py")}
    with_main = {name for name in modules if hasattr(_module(name), "define")}
    assert with_main == set(COMMANDS)


def _module(name):
    return importlib.import_module(f"srm_keras.cli.{name}")


def test_main_takes_the_line_of_the_process(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["srm-keras", "help"])
    assert main() == 0
    assert "srm-keras COMMAND" in capsys.readouterr().out
