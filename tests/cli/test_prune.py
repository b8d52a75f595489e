"""`srm-keras prune` as one calls it."""

import csv
import json

import pytest

from srm_keras.training import train
from tests.support import command_lines
from tests.support.tiny_training import tiny_recipe

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

IMAGES = 24


def command(tool, *arguments):
    return command_lines.command(tool, *map(str, arguments))


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A run folder a module, of CifarResNet-8 with basic blocks."""
    folder = tmp_path_factory.mktemp("runs")
    for module in ("none", "se", "srm"):
        recipe = tiny_recipe(steps=2, eval_every=2)
        recipe.recalibration = None if module == "none" else module
        train(recipe, folder / module)
    return folder


def rows_of(path):
    with path.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_prune_writes_its_files_and_goes_on_where_it_was(runs, tmp_path):
    given = [f"--models={runs / 'se'},{runs / 'srm'}", f"--out={tmp_path}", "--ratios=0,0.5,1"]
    first = command("prune", *given, "--stages=conv3", "--nocontrol")
    assert first.returncode == 0, first.stderr
    assert "se, conv3, gates: area" in first.stderr
    known = json.loads((tmp_path / "pruning.json").read_text())["curves"]
    assert [(row["run"], row["stage"]) for row in known] == [("se", "conv3"), ("srm", "conv3")]

    known[0]["accuracies"] = [0.25, 0.25, 0.25]  # to tell it from one that is computed anew
    study = json.loads((tmp_path / "pruning.json").read_text())
    (tmp_path / "pruning.json").write_text(json.dumps({**study, "curves": known}))
    whole = command("prune", *given)
    assert whole.returncode == 0, whole.stderr
    rows = rows_of(tmp_path / "pruning.csv")
    assert len(rows) == 2 * 2 * 4 * 3  # runs, orders, stages, ratios
    kept = [
        row for row in rows if (row["run"], row["stage"], row["order"]) == ("se", "conv3", "gates")
    ]
    assert [float(row["accuracy"]) for row in kept] == [0.25] * 3
    report = json.loads((tmp_path / "pruning.json").read_text())
    assert report["settings"]["samples"] == IMAGES
    assert list(report["runs"]["srm"]["stages"]) == ["conv2", "conv3", "conv4", "all"]
    assert (tmp_path / "pruning.png").read_bytes().startswith(b"\x89PNG")
    assert whole.stdout.count("random") == 2

    other = command("prune", *given, "--samples=10")
    assert other.returncode != 0
    assert "error: `out` must be a folder without a study of another settings" in other.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["prune", "--models=RUNS/none", "--out=OUT"], "of a network with modules"),
        (["prune", "--models=RUNS/se", "--out=OUT", "--stages=conv22"], "did you mean 'conv2'"),
        (
            ["prune", "--models=RUNS/se", "--out=OUT", "--ratios=0,half"],
            "`--ratios` must be numbers",
        ),
        (["prune", "--out=OUT"], "`--models` and `--out` are required"),
    ],
)
def test_bad_command_lines_end_in_one_line(runs, tmp_path, arguments, message):
    places = {"RUNS": str(runs), "OUT": str(tmp_path)}
    for place, path in places.items():
        arguments = [argument.replace(place, path) for argument in arguments]
    result = command(*arguments)
    assert result.returncode != 0
    errors = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert message in errors[0]
    assert "Traceback" not in result.stderr
