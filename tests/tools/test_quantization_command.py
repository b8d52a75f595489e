"""The command line, in a process of its own: it defines absl flags."""

import json

import pytest

from tests.support import command_lines
from tests.support.tiny_training import tiny_recipe, train_tiny

pytestmark = pytest.mark.slow


def study(*flags):
    return command_lines.command("tools.studies.quantization", *flags)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "tiny_srm"
    train_tiny(tiny_recipe(), folder)
    return folder


def test_a_run_is_studied_and_not_studied_again(run, tmp_path):
    flags = (f"--models={run}", f"--out={tmp_path}", "--representative=8,16")
    first, second = study(*flags), study(*flags)
    assert first.returncode == second.returncode == 0, first.stderr
    assert first.stdout == second.stdout
    rows = json.loads((tmp_path / "quantization.json").read_text())["rows"]
    assert len(first.stdout.splitlines()) == len(rows) + 1
    head = {
        "run": "tiny_srm",
        "dataset": "texture_shapes, 10 classes",
        "network": "cifar_resnet basic 8",
        "module": "srm",
        "seed": 0,
        "images": 24,
    }
    assert head.items() <= rows[0].items()
    assert {row["representative"] for row in rows} == {0, 8, 16}
    page = (tmp_path / "quantization.md").read_text()
    assert "## tiny_srm: srm, cifar_resnet basic 8, texture_shapes, 10 classes" in page


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ([], "`--models`, `--out` and `--representative` are required."),
        (["a_run"], "Arguments must be flags. Received: a_run"),
        (["--models={run}", "--out={out}", "--representative=0"], "must be positive integers"),
        (["--models={run},{run}", "--out={out}"], "must be folders of different names"),
        (["--models={out}", "--out={out}"], "`workdir` must be a run folder"),
    ],
)
def test_bad_command_lines_end_in_one_line(flags, message, run, tmp_path):
    done = study(*(flag.format(run=run, out=tmp_path) for flag in flags))
    assert done.returncode == 1
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert message in errors[0]
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir())
