"""The command line, in processes of its own."""

import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from srm_keras.training import load_run, read_metrics

ROOT = Path(__file__).parents[2]
RECIPE = "--config=train/recipes/texture_shapes.py:smoke"


def command(*arguments):
    return [sys.executable, "-m", "train.classify", *arguments]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--workdir={tmp}", "--config=no.py"], "error: `--config` must be a recipe, FILE or"),
        (["--workdir={tmp}"], "error: `--config` and `--workdir` are required."),
        ([RECIPE, "--config.optimizer.nestrov=True"], "error: the recipe has no field 'nestrov'"),
        pytest.param(
            [RECIPE, "--workdir={tmp}", "--config.eval_every=3"],
            "error: `eval_every` must divide",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_errors_are_one_line(tmp_path, arguments, message):
    arguments = [argument.format(tmp=tmp_path / "run") for argument in arguments]
    done = subprocess.run(command(*arguments), cwd=ROOT, capture_output=True, text=True)
    assert done.returncode != 0
    assert done.stderr.splitlines()[-1].startswith(message)
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_sigterm_ends_in_a_message_and_the_same_command_goes_on(tmp_path):
    folder = tmp_path / "run"
    arguments = [RECIPE, f"--workdir={folder}", "--config.steps=60", "--config.eval_every=30"]
    process = subprocess.Popen(
        command(*arguments), cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    wait_for_rows(folder / "metrics.csv", 1, process)
    process.terminate()
    _, told = process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGTERM
    stopped = re.search(r"Stopped by SIGTERM after step (\d+), which is saved", told)
    assert not (folder / "result.json").exists()
    done = subprocess.run(command(*arguments), cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0
    assert f"Going on from step {stopped[1]} of 60" in done.stderr
    assert [row["step"] for row in read_metrics(folder / "metrics.csv")] == [30, 60]
    assert load_run(folder).model.count_params() > 0


def wait_for_rows(path, count, process):
    deadline = time.monotonic() + 120
    while not path.exists() or len(read_metrics(path)) < count:
        assert process.poll() is None, "the run ended early"
        assert time.monotonic() < deadline
        time.sleep(0.05)
