"""`srm-keras predict` as one calls it."""

import csv
import json
import os

import keras
import numpy as np
import pytest
from PIL import Image

from srm_keras.data import Preprocessing
from srm_keras.support.files import in_utf8, read_csv, read_json
from tests.support.command_lines import command
from tests.support.weights import randomize

CLASSES = ["disc", "ring", "star"]


def predict(*arguments):
    return command("predict", *arguments)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run folder with two images and a broken one in it."""
    folder = tmp_path_factory.mktemp("run")
    inputs = keras.Input((8, 8, 3))
    x = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(4, 3)(inputs))
    model = keras.Model(inputs, keras.layers.Dense(3, activation="softmax")(x))
    randomize(model)
    model.save(folder / "best.keras")
    attributes = Preprocessing(image_size=8).to_dict()
    (folder / "preprocessing.json").write_text(json.dumps(attributes))
    (folder / "classes.json").write_text(json.dumps(CLASSES))
    (folder / "images").mkdir()
    pixels = np.random.default_rng(0).integers(0, 256, (2, 8, 8, 3), "uint8")
    for name, image in zip("ab", pixels, strict=True):
        Image.fromarray(image).save(folder / "images" / f"{name}.png")
    (folder / "images" / "broken.jpg").write_text("no image")
    scores = model.predict(pixels / 127.5 - 1, verbose=0)
    return folder, scores


def test_images_are_told_and_written_and_the_broken_one_named(run, tmp_path):
    folder, scores = run
    out = tmp_path / "out.csv"
    done = predict(f"--model={folder}", "--top=2", f"--out={out}", folder / "images")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == "error: 1 image could not be read"
    assert f"{folder / 'images' / 'broken.jpg'}: Unknown image" in done.stderr
    assert "Traceback" not in done.stderr
    for line, name, row in zip(done.stdout.splitlines(), "ab", scores, strict=True):
        best, second = np.argsort(-row)[:2]
        told = f"{CLASSES[best]} {row[best]:.3f}  {CLASSES[second]} {row[second]:.3f}"
        assert line == f"{folder / 'images' / name}.png  {told}"
    with out.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["score"]) for row in rows[::2]] == pytest.approx(scores.max(1), abs=1e-6)


def test_a_folder_gets_both_files_of_what_images_names(run, tmp_path):
    folder, scores = run
    images = [folder / "images" / f"{name}.png" for name in "ab"]
    by_flag = predict(f"--model={folder}", f"--images={images[0]},{images[1]}", f"--out={tmp_path}")
    assert (by_flag.returncode, by_flag.stderr) == (0, "")
    assert by_flag.stdout == predict(f"--model={folder / 'best.keras'}", *images).stdout
    told = read_json(tmp_path / "predictions.json")
    assert [row["image"] for row in told] == list(map(str, images))
    best = [float(row["score"]) for row in read_csv(tmp_path / "predictions.csv")[::3]]
    assert best == pytest.approx(scores.max(1), abs=1e-6)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "error: `--model` is required."),
        (["--model=nowhere", "{run}/images"], "'nowhere', which does not exist"),
        (["--model={run}"], "error: At least one image file or folder is required."),
        (["--model={run}", "gone.png"], "error: Images must exist. Received: 'gone.png'"),
        (
            ["--model={run}", "--out=x.txt", "{run}/images"],
            "must be a folder, or a file *.csv or *.json",
        ),
        (["--model={run}", "--preprocessing=gone.json", "{run}/images"], "'gone.json' cannot be"),
    ],
)
def test_errors_are_one_line(arguments, message, run):
    done = predict(*[argument.format(run=run[0]) for argument in arguments])
    assert done.returncode == 1
    assert message in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_a_network_without_names_says_so(run, tmp_path):
    (tmp_path / "net.keras").write_bytes((run[0] / "best.keras").read_bytes())
    preprocessing = f"--preprocessing={run[0] / 'preprocessing.json'}"
    done = predict(f"--model={tmp_path / 'net.keras'}", preprocessing, run[0] / "images" / "a.png")
    assert done.returncode == 0
    assert "has no class names" in done.stderr
    assert done.stdout.split()[1] == str(np.argmax(run[1][0]))


@pytest.mark.parametrize("suffix", ["csv", "json"])
def test_names_that_are_not_utf_8_keep_their_results(run, tmp_path, suffix):
    folder, scores = run
    image = tmp_path / os.fsdecode(b"caf\xe9 [1].png")
    image.write_bytes((folder / "images" / "a.png").read_bytes())
    out = tmp_path / f"out [final].{suffix}"
    done = predict(f"--model={folder}", "--top=1", f"--out={out}", image)
    assert (done.returncode, done.stderr) == (0, "")
    assert f"{image}  " in done.stdout
    if suffix == "json":
        assert [row["image"] for row in read_json(out)] == [str(image)]
    else:
        (row,) = read_csv(out)
        assert row["image"] == in_utf8(str(image))
        assert float(row["score"]) == pytest.approx(scores[0].max(), abs=1e-6)
