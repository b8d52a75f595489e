"""Image files found, decoded and classified; the network is a table of colours."""

import csv
import json

import numpy as np
import pytest
from PIL import Image

from srm_keras.data import Preprocessing
from srm_keras.export.predictions import (
    FilePrediction,
    Guess,
    image_files,
    predict_files,
    write_predictions,
)
from srm_keras.export.predictor import Predictor

COLOURS = {"red": (250, 10, 10), "green": (10, 240, 10), "blue": (10, 10, 230)}


@pytest.fixture
def batches():
    return []


@pytest.fixture
def predictor(batches):
    """Its scores are the mean red, green and blue in [0, 1]."""

    def mean_colour(x):
        batches.append(len(x))
        return x.mean(axis=(1, 2))

    preprocessing = Preprocessing(image_size=4, mean=0.0, std=1.0)
    return Predictor(mean_colour, preprocessing, tuple(COLOURS))


@pytest.fixture
def folder(tmp_path):
    """Three PNG files, the third in a folder below, and things that are no images."""
    (tmp_path / "below").mkdir()
    for name, colour in COLOURS.items():
        place = tmp_path / "below" if name == "blue" else tmp_path
        Image.new("RGB", (5, 4), colour).save(place / f"{name}.PNG", format="PNG")
    (tmp_path / "notes.txt").write_text("")
    (tmp_path / ".hidden.png").write_text("")
    return tmp_path


def test_folders_are_searched_and_files_taken_as_named(folder):
    found = image_files([folder / "notes.txt", folder])
    assert [path.name for path in found] == ["notes.txt", "blue.PNG", "green.PNG", "red.PNG"]


def test_links_are_followed_and_what_is_passed_over_is_told(folder, tmp_path_factory, caplog):
    elsewhere = tmp_path_factory.mktemp("linked")
    for name in ("a.jfif", "b.JPE", "c.bmp", "d.WEBP", "e.gif", "f.TIF", "g.tif"):
        (elsewhere / name).touch()
    (folder / "link").symlink_to(elsewhere)
    found = image_files([folder])
    assert len(found) == 7
    assert {path.name for path in found} >= {"a.jfif", "b.JPE", "c.bmp", "d.WEBP"}
    assert caplog.text.count("passed over as no JPEG, PNG, BMP or WebP files: 1 .gif, 2 .tif") == 1
    (elsewhere / "up").symlink_to(folder)
    with pytest.raises(ValueError, match=r"link/up is a link to a folder that it lies in"):
        image_files([folder])


@pytest.mark.parametrize(
    ("paths", "message"),
    [
        ([], "At least one image"),
        (["missing.png"], "must exist. Received: 'missing.png'"),
        (["empty"], r"must hold images \(.jpg, .jpeg, .*\). Received: 'empty'"),
    ],
)
def test_paths_are_checked_first(paths, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match=message):
        image_files(paths)


def test_the_best_classes_come_first_in_the_order_of_the_files(folder, predictor):
    predictions = list(predict_files(predictor, image_files([folder]), top=2))
    for prediction, name in zip(predictions, ("blue", "green", "red"), strict=True):
        best, second = prediction.guesses
        assert prediction.path.stem == name
        assert best.class_name == list(COLOURS)[best.index] == name
        assert best.score == pytest.approx(max(COLOURS[name]) / 255, rel=1e-6)
        assert second.score == pytest.approx(10 / 255, rel=1e-6)
        assert second.index == (1 if name == "red" else 0)  # Of equal ones the first.


def test_images_come_in_batches(folder, predictor, batches):
    assert len(list(predict_files(predictor, image_files([folder]), 9, batch_size=2))) == 3
    assert batches == [2, 1]


def test_broken_files_are_told_and_passed_over(folder, predictor):
    (folder / "broken.jpg").write_bytes(b"no image")
    (folder / "empty.png").write_bytes(b"")
    paths = [*image_files([folder]), folder / "gone.png", folder / "below"]
    by_name = {p.path.name: p for p in predict_files(predictor, paths, top=1)}
    broken = {name for name, prediction in by_name.items() if prediction.error}
    assert broken == {"broken.jpg", "empty.png", "gone.png", "below"}
    assert all("\n" not in prediction.error for prediction in by_name.values())
    assert all(not by_name[name].guesses for name in broken)
    assert by_name["red.PNG"].guesses[0].class_name == "red"


def test_a_batch_of_broken_files_runs_nothing(tmp_path, predictor, batches):
    (tmp_path / "broken.jpg").write_bytes(b"no image")
    (prediction,) = predict_files(predictor, [tmp_path / "broken.jpg"])
    assert prediction.error
    assert batches == []


def test_colour_and_grey_are_made_what_the_network_reads(tmp_path, predictor):
    Image.new("L", (4, 4), 51).save(tmp_path / "grey.png")
    Image.new("RGBA", (4, 4), (0, 255, 0, 7)).save(tmp_path / "alpha.png")
    grey, alpha = predict_files(predictor, [tmp_path / "grey.png", tmp_path / "alpha.png"])
    assert [guess.score for guess in grey.guesses] == pytest.approx([0.2] * 3)
    assert [guess.class_name for guess in alpha.guesses] == ["green", "red", "blue"]
    one_channel = Preprocessing(image_size=4, channels=1, mean=0.0, std=1.0)
    of_grey = Predictor(lambda x: x.mean(axis=(1, 2)), one_channel, None)
    grey, alpha = predict_files(of_grey, [tmp_path / "grey.png", tmp_path / "alpha.png"])
    assert grey.guesses == (Guess("0", 0, pytest.approx(0.2)),)
    assert alpha.guesses[0].score == pytest.approx(0.587, abs=0.005)  # ITU-R BT.601 luma


@pytest.mark.parametrize("name", ["top", "batch_size"])
def test_counts_must_be_positive(name, predictor, folder):
    with pytest.raises(ValueError, match=f"`{name}` must be a positive integer"):
        list(predict_files(predictor, [folder / "red.PNG"], **{name: 0}))


def test_predictions_are_written_as_csv_and_json(tmp_path):
    guesses = (Guess("a, b", 1, np.float32(0.75).item()), Guess("c", 0, 0.25))
    broken = FilePrediction(tmp_path / "y.jpg", error="truncated")
    predictions = [FilePrediction(tmp_path / "x.jpg", guesses), broken]
    write_predictions(tmp_path / "out.csv", predictions)
    write_predictions(tmp_path / "out.json", predictions)
    with (tmp_path / "out.csv").open(newline="") as file:
        rows = list(csv.reader(file))
    assert rows == [
        ["image", "rank", "class", "index", "score"],
        [str(tmp_path / "x.jpg"), "1", "a, b", "1", "0.75"],
        [str(tmp_path / "x.jpg"), "2", "c", "0", "0.25"],
    ]
    assert json.loads((tmp_path / "out.json").read_text()) == [
        {
            "image": str(tmp_path / "x.jpg"),
            "predictions": [
                {"class": "a, b", "index": 1, "score": 0.75},
                {"class": "c", "index": 0, "score": 0.25},
            ],
        },
        {"image": str(tmp_path / "y.jpg"), "error": "truncated"},
    ]
