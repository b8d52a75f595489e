"""`srm-keras train` as one calls it, and signals to a process of its own."""

import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from unittest import mock

import pytest

from srm_keras import training
from srm_keras.training import load_run, read_metrics
from srm_keras.training.recipe import FIELDS
from tests.support import command_lines

ROOT = Path(__file__).parents[2]
RECIPE = "--config=texture_shapes:smoke"


def command(*arguments):
    return [sys.executable, "-m", "srm_keras", "train", *arguments]


def test_help_tells_of_the_flags_and_of_every_field():
    done = command_lines.command("train", "--help")
    assert done.returncode == 0
    for name in ("config", "workdir", "steps", "[no]overwrite", *(f"config.{n}" for n in FIELDS)):
        assert f"\n  --{name}: " in done.stdout, name


FILES = {
    "broken.py": "def get_config(form=''):\n    return dict(\n",
    "number.py": "def get_config(form=''):\n    return 3\n",
    "empty.py": "",
    "failing.py": "import no_such_package\n",
}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--config=no.py"], "`--config` must be a file or one of ablations, adain, cifar10"),
        (["--config", "texturse"], "Received: 'texturse' (did you mean 'textures'?)"),
        (["--config=broken.py"], "'(' was never closed in line 2. Received: --config=broken.py"),
        (["--config=number.py"], "gives an ml_collections ConfigDict, not int. Received: "),
        (["--config=empty.py"], "has no attribute 'get_config'. Received: --config=empty.py"),
        (["--config=failing.py"], "fails with ModuleNotFoundError: No module named 'no_such_pa"),
        (["--config=cifar10:smok"], "form must be '' or 'smoke'. Received: 'smok'"),
        ([], "`--config` and `--workdir` are required."),
        ([RECIPE, "x.jpg"], "Arguments must be flags. Received: x.jpg"),
        ([RECIPE, "--config.optimizer.nestrov=True"], "the recipe has no field 'nestrov' Did you"),
        ([RECIPE, "--config.seed=x"], "flag --config.seed=x: invalid literal for int()"),
        ([RECIPE, "--recalibration=srm"], "(did you mean '--config.recalibration'?)"),
        ([RECIPE, "--steps=0"], "flag --steps=0: 0 is not a positive integer"),
        ([RECIPE, "--steps=2", "--config.steps=4"], "Give either `--steps` or `--config.steps`."),
    ],
)
def test_wrong_command_lines_end_in_one_line(arguments, message, tmp_path, monkeypatch):
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    done = command_lines.command("train", "--workdir=run", *arguments)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: ")
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "run").exists()


def test_a_recipe_is_known_by_its_name_or_file_and_steps_move_it(tmp_path):
    of_mine, reads = tmp_path / "mine.py", tmp_path / "reads"
    of_mine.write_text(
        "from srm_keras.recipes.cifar10 import get_config\n"
        f"with open({str(reads)!r}, 'a') as file:\n    file.write('read ')\n"
    )
    for config, kept, steps in (
        ("cifar10", (), (640, 10, (320, 480))),
        (of_mine, (), (640, 10, (320, 480))),
        (of_mine, ["--config.eval_every=20"], (640, 20, (320, 480))),
        ("cifar10:smoke", (), (640, 640, ())),
    ):
        with mock.patch.object(training, "train", return_value={}) as trained:
            given = (f"--config={config}", "--workdir=x", "--steps=640", *kept)
            assert command_lines.command("train", *given).returncode == 0
        recipe = trained.call_args.args[0]
        assert (recipe.steps, recipe.eval_every, recipe.learning_rate.milestones) == steps
        assert recipe.data.name == ("made_up" if "smoke" in str(config) else "cifar10")
    assert reads.read_text() == "read read "  # once a command, as a program's file should be


def test_options_of_the_network_are_the_recipes_and_those_given_but_of_another_network():
    for given, options in (
        ([], {"depth": 8, "block": "basic"}),
        (["--config.model.name=cifar_resnet20_basic"], {"depth": 8, "block": "basic"}),
        (["--config.model.name=EfficientNetB0"], {}),
        (["--config.model.name=net.keras"], {}),
        (["--config.model.name=MobileNet", "--config.model.options={'alpha': .5}"], {"alpha": 0.5}),
        (["--config.model.name=MobileNet", "--config.model.options.alpha=0.5"], {"alpha": 0.5}),
        (
            ["--config.model.options.dropout=0.1", "--config.model.options.shortcut=average"],
            {"depth": 8, "block": "basic", "dropout": 0.1, "shortcut": "average"},
        ),
    ):
        with mock.patch.object(training, "train", return_value={}) as trained:
            assert command_lines.command("train", RECIPE, "--workdir=x", *given).returncode == 0
        assert trained.call_args.args[0].model.options.to_dict() == options


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
