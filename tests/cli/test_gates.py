"""`srm-keras gates` as one calls it."""

import csv
import json
import shutil

import keras
import numpy as np
import pytest
from PIL import Image

from tests.support import command_lines
from tests.support.tiny_training import tiny_recipe, train_tiny

pytestmark = pytest.mark.slow


def gates(*flags):
    return command_lines.command("gates", *flags)


def rows(path):
    with path.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A network with gates, the same once more, and one without."""
    folder = tmp_path_factory.mktemp("runs")
    train_tiny(tiny_recipe(), folder / "one")
    shutil.copytree(folder / "one", folder / "two")
    shutil.copytree(folder / "one", folder / "plain")
    layers = [keras.Input((16, 16, 3)), keras.layers.Flatten(), keras.layers.Dense(10)]
    plain = keras.Sequential(layers, name="plain")
    keras.Model(plain.inputs, plain.outputs, name="plain").save(folder / "plain" / "best.keras")
    return folder


def test_all_is_written_and_agrees(runs, tmp_path):
    done = gates(f"--models={runs / 'one'},{runs / 'two'}", f"--out={tmp_path}")
    assert done.returncode == 0, done.stderr
    written = {name.rstrip(",") for name in done.stdout.splitlines()[-1].split()[1:-2]}
    assert written == {file.name for file in tmp_path.iterdir()}
    statistics, correlation = (
        json.loads((tmp_path / name).read_text())
        for name in ("statistics.json", "correlation.json")
    )
    assert [(row["run"], row["block"]) for row in correlation] == [
        (f"srm ({name})", block)
        for name in ("one", "two")
        for block in ("recalibration", "network")
    ]
    assert {row["images"] for row in (*statistics, *correlation)} == {24}
    channels = [row for row in rows(tmp_path / "channels.csv") if row["run"] == "srm (one)"]
    assert len(channels) == 8
    means = [float(row["mean"]) for row in channels]
    assert statistics[0]["mean"] == pytest.approx(np.mean(means), abs=1e-6)
    with np.load(tmp_path / "correlation_matrices.npz") as file:
        matrix = file["srm (one)/recalibration"]
    assert correlation[0]["squared_sum"] == pytest.approx(np.square(matrix).sum(), abs=1e-3)
    for name in ("histograms", "correlation", "correlation_by_block"):
        Image.open(tmp_path / f"{name}.png").verify()


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ([], "`--models` and `--out` are required."),
        (
            ["--models={runs}/plain"],
            "of a network with modules",
        ),
        (["--models={runs}/one", "--blocks=recalibratoin"], "(did you mean 'recalibration'?)"),
    ],
    ids=["none", "plain", "block"],
)
def test_bad_command_lines_end_in_one_line(flags, message, runs, tmp_path):
    out = [f"--out={tmp_path}"] if flags else []
    done = gates(*(flag.format(runs=runs) for flag in flags), *out)
    assert done.returncode == 1
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert message in errors[0]
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir())
