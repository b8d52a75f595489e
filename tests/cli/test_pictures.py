"""`top_activations` and `grad_cam` on short trainings."""

import csv
import json

import numpy as np
import pytest
from PIL import Image

from srm_keras.cli.samples import evaluation_samples, pixels
from srm_keras.training import load_run, train
from tests.support import command_lines
from tests.support.tiny_training import tiny_recipe

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    for module in (None, "se", "srm"):
        recipe = tiny_recipe(recalibration=module)
        train(recipe, folder / str(module).lower())
    return {module: folder / module for module in ("none", "se", "srm")}


def run(*arguments):
    return command_lines.command(*map(str, arguments))


def rows_of(path):
    with path.open() as file:
        return list(csv.DictReader(file))


def test_top_activations(runs, tmp_path):
    result = run(
        "top_activations",
        f"--models={runs['se']},{runs['srm']}",
        f"--out={tmp_path}",
        "--top=3",
    )
    assert result.returncode == 0, result.stderr
    blocks = ["conv2_1", "conv3_1", "conv4_1"]
    pictures = [f"{kind}_{block}.png" for kind in ("top", "ranked") for block in blocks]
    tables = ["top.csv", "diversity.csv", "diversity.json", "diversity.png"]
    assert {file.name for file in tmp_path.iterdir()} == {*pictures, *tables}
    for name in pictures:
        with Image.open(tmp_path / name) as picture:
            assert picture.width > 300
    rows = rows_of(tmp_path / "top.csv")
    assert len(rows) == 2 * (16 + 32 + 64) * 3
    assert max(int(row["image"]) for row in rows) < 24
    samples = evaluation_samples(load_run(runs["se"]), 24)
    classes = load_run(runs["se"]).classes
    assert all(row["label"] == classes[samples.labels[int(row["image"])]] for row in rows)
    diversities = rows_of(tmp_path / "diversity.csv")
    assert [(row["run"], row["block"]) for row in diversities] == [
        (module, block) for module in ("se", "srm") for block in blocks
    ]
    assert json.loads((tmp_path / "diversity.json").read_text())["split"] == "test"
    assert all(row["overlap_by_chance"] == "0.125" for row in diversities)


def test_grad_cam(runs, tmp_path):
    folders = ",".join(str(folder) for folder in runs.values())
    result = run(
        "grad_cam", f"--models={folders}", f"--out={tmp_path}", "--samples=7", "--class=true"
    )
    assert result.returncode == 0, result.stderr
    assert [line.partition(":")[0] for line in result.stdout.splitlines()[:3]] == list(runs)
    record = json.loads((tmp_path / "grad_cam.json").read_text())
    assert len(record["images"]) == 7
    for image in record["images"]:
        assert {network["map_for"] for network in image["runs"].values()} == {image["class"]}
    with np.load(tmp_path / "grad_cam.npz") as maps:
        assert {name: maps[name].shape for name in maps.files} == dict.fromkeys(runs, (7, 4, 4))
    with Image.open(tmp_path / "grad_cam.png") as picture:
        assert picture.width > 2 * 4 * 128


def test_grad_cam_of_files(runs, tmp_path):
    network = load_run(runs["srm"])
    samples = evaluation_samples(network, 4)
    shown = pixels(network.preprocessing, samples.inputs)
    np.testing.assert_array_equal(shown, np.stack(samples.images))
    (tmp_path / "photos").mkdir()
    for index, image in enumerate(samples.images):
        Image.fromarray(image).save(tmp_path / "photos" / f"{index}.png")
    options = [f"--models={runs['srm']}", "--method=grad_cam++", "--layer=conv3_1_recalibration"]
    given = run("grad_cam", *options, f"--out={tmp_path / 'given'}", tmp_path / "photos")
    assert given.returncode == 0, given.stderr
    own = run("grad_cam", *options, f"--out={tmp_path / 'own'}", "--samples=4")
    assert own.returncode == 0, own.stderr
    maps = [np.load(tmp_path / name / "grad_cam.npz")["srm"] for name in ("given", "own")]
    np.testing.assert_array_equal(*maps)


def test_bad_command_lines_end_in_one_line(runs, tmp_path):
    (tmp_path / "broken.png").write_text("no image")
    both = f"--models={runs['none']},{runs['srm']}"
    out = f"--out={tmp_path / 'out'}"
    cases = {
        ("top_activations", f"--models={runs['none']}", out): "of a network with modules",
        ("top_activations", f"--models={runs['se']}", out, "--top=25"): "at most the number of",
        ("top_activations", f"--models={runs['se']}", out, "--blocks=conv2_9"): "'conv2_1'",
        ("grad_cam", both, out, "--layer=conv9"): "`layer` must be the name of a layer",
        ("grad_cam", both, out, tmp_path / "broken.png"): "files that can be decoded",
        ("grad_cam", both): "`--models` and `--out` are required",
    }
    for arguments, message in cases.items():
        result = run(*arguments)
        errors = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
        assert (result.returncode, len(errors)) == (1, 1), result.stderr
        assert message in errors[0]
        assert "Traceback" not in result.stderr
