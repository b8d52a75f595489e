"""What every command does with its command line."""

import io
import os
import subprocess
import sys
from pathlib import Path
from unittest import mock

import pytest
from absl import app, flags

from tests.support.command_lines import command
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


EARLIER = "--runs=tests/earlier/run"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("export", "--run=tests/earlier/run", "--formats=tflite"), "`formats` must be one of"),
        (("export", "--run=tests/earlier/run", "--out=README.md"), "`out` must lie in a folder"),
        (("export", "--run=tests/earlier/run", "--checkpoint=bst"), "one of <best|last>"),
        (("prune", EARLIER, "--out=README.md"), "`out` must lie in a folder"),
        (("prune", EARLIER, "--out={tmp}", "--ratios=1,0"), "`ratios` must ascend"),
        (("gates", EARLIER, "--out=README.md"), "`out` must lie in a folder"),
        (("grad_cam", EARLIER, "--out=README.md"), "`out` must lie in a folder"),
        (("top_activations", EARLIER, "--out=README.md"), "`out` must lie in a folder"),
        (("compare", "tests/earlier/run", "--out=README.md"), "`out` must lie in a folder"),
        (("compare", "tests/support"), "At least one run folder of train.classify"),
        (("complexity", "--model=resnet51"), "names, such as resnet50, "),
        (("complexity", "--model=resnet18", "--csv=README.md/x.csv"), "`csv` must lie in"),
        (
            ("stylize_dataset", "--stylizer=x", "--data=texture_shape", "--paintings=x"),
            "(did you mean 'texture_shapes'?)",
        ),
        (
            ("stylize_dataset", "--stylizer=x", "--data=texture_shapes", "--paintings=x"),
            "Received: split='trian' (did you mean 'train'?)",
        ),
    ],
)
def test_wrong_values_are_found_before_a_network_is_loaded(arguments, message, tmp_path):
    tool, *given = (argument.format(tmp=tmp_path) for argument in arguments)
    if tool == "stylize_dataset":
        given += [f"--out={tmp_path}", *(["--splits=trian"] if "trian" in message else [])]
    loading = AssertionError("a network was loaded")
    with (
        mock.patch("srm_keras.training.records.read_keras_file", side_effect=loading),
        mock.patch("keras.saving.load_model", side_effect=loading),
    ):
        done = command(f"tools.{tool}", *given)
    assert (done.returncode, done.stdout) == (1, "")
    assert message in done.stderr.splitlines()[-1]
    assert done.stderr.splitlines()[-1].startswith("error: ")
