"""Presets are saved, checked, and used like runs and files: predicted with, exported, served."""

import json

import keras
import numpy as np
import pytest
from PIL import Image

from srm_keras.data import Preprocessing
from srm_keras.export.predictor import load_predictor
from srm_keras.interop import save_preset
from srm_keras.layers import SRM
from srm_keras.models import CifarResNet
from tests.support.command_lines import command
from tests.support.weights import randomize

PREPROCESSING = Preprocessing(image_size=8, mean=(0.4, 0.5, 0.6), std=(0.2, 0.25, 0.5))
CLASSES = ("disc", "ring", "star")
DATA = {
    "name": "made_up",
    "train_split": "train",
    "eval_splits": ["test"],
    "options": {"image_shape": 8, "classes": 3, "examples": 12},
    "folds": 0,
}


@pytest.fixture(scope="module")
def model():
    image = keras.Input((8, 8, 3), name="image")
    x = SRM(name="recalibration")(keras.layers.Conv2D(4, 3, activation="relu")(image))
    x = keras.layers.GlobalAveragePooling2D()(x)
    model = keras.Model(image, keras.layers.Dense(3, activation="softmax")(x))
    randomize(model)
    return model


@pytest.fixture(scope="module")
def folder(model, tmp_path_factory):
    """A preset that says nothing of its data, one that does, and photographs."""
    folder = tmp_path_factory.mktemp("presets")
    save_preset(model, folder / "bare.zip", PREPROCESSING, CLASSES)
    save_preset(model, folder / "preset", PREPROCESSING, CLASSES, {"data": DATA})
    (folder / "photos").mkdir()
    for k, image in enumerate(images()):
        Image.fromarray(image).save(folder / "photos" / f"{k}.png")
    return folder


def images():
    return np.random.default_rng(0).integers(0, 256, (5, 8, 8, 3), "uint8")


@pytest.fixture(scope="module")
def scores(model):
    x = (images() / 255 - PREPROCESSING.mean) / PREPROCESSING.std
    return model.predict(x.astype("float32"), verbose=0)


@pytest.mark.parametrize("name", ["bare.zip", "preset"])
def test_a_preset_is_predicted_with(name, folder, scores, tmp_path):
    predictor = load_predictor(folder / name)
    assert (predictor.classes, predictor.preprocessing) == (CLASSES, PREPROCESSING)
    np.testing.assert_allclose(predictor.scores(list(images())), scores, atol=1e-6)
    out = tmp_path / "out.json"
    done = command("predict", f"--model={folder / name}", f"--out={out}", folder / "photos")
    assert done.returncode == 0, done.stderr
    for line, row, told in zip(
        done.stdout.splitlines(), scores, json.loads(out.read_text()), strict=True
    ):
        assert f"{CLASSES[row.argmax()]} {row.max():.3f}" in line
        assert told["predictions"][0]["class"] == CLASSES[row.argmax()]


def test_what_is_given_goes_before_what_a_preset_says(folder):
    predictor = load_predictor(folder / "preset", classes=["a", "b", "c"])
    assert predictor.classes == ("a", "b", "c")
    with pytest.raises(ValueError, match=r"must make what the network reads"):
        load_predictor(folder / "preset", Preprocessing(image_size=9))
    with pytest.raises(ValueError, match=r"Received: 'a' for the classes 0, 2"):
        load_predictor(folder / "preset", classes=["a", "b", "a"])


@pytest.mark.parametrize(
    ("name", "options"), [("bare.zip", ["--images={folder}/photos"]), ("preset", [])]
)
def test_a_preset_is_exported(name, options, folder, scores, tmp_path):
    options = [option.format(folder=folder) for option in options]
    line = [f"--model={folder / name}", f"--out={tmp_path}", "--formats=saved_model,int8", *options]
    done = command("export", *line, "--min_snr_db=5")
    assert done.returncode == 0, done.stderr
    for file in ("saved_model", "model_int8.tflite"):
        predictor = load_predictor(tmp_path / file)
        assert (predictor.classes, predictor.preprocessing) == (CLASSES, PREPROCESSING)
        tolerance = 1e-5 if file == "saved_model" else 0.1
        np.testing.assert_allclose(predictor.scores(list(images())), scores, atol=tolerance)
    reports = json.loads((tmp_path / "report.json").read_text())["exports"]
    assert {report["parity"]["samples"] for report in reports} == {5 if options else 12}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--model={folder}/bare.zip"], "`--out` is required for a preset"),
        (
            ["--model={folder}/bare.zip", "--out=x", "--checkpoint=last"],
            "`--checkpoint` is for run",
        ),
        (["--model={folder}/bare.zip", "--out=x"], "`--images` is needed: the data of the recipe"),
        (["--model={folder}/none.zip", "--out=x"], "must be a folder or a .zip file that exists"),
        (["--model={folder}/preset", "--out=x", "--image_size=8"], "`--image_size` is for runs of"),
    ],
)
def test_what_cannot_be_exported_is_one_line(arguments, message, folder):
    done = command("export", *(text.format(folder=folder) for text in arguments))
    assert done.returncode == 1
    assert message in done.stderr.splitlines()[-1]


@pytest.mark.parametrize("name", ["bare.zip", "preset"])
def test_a_preset_is_served(name, folder, scores, monkeypatch):
    server = pytest.importorskip("srm_keras.export.serving.server")
    answers = []

    def serve(path, *_):
        request = {"signature_name": "serve_uint8", "instances": images().tolist()}
        answers.extend(server.SavedModelService(path).answer(request)["predictions"])

    monkeypatch.setattr(server, "serve", serve)
    done = command("serve", f"--model={folder / name}", "--port=8531")
    assert done.returncode == 0, done.stderr
    np.testing.assert_allclose([each["output_0"] for each in answers], scores, atol=1e-5)
    assert [each["class_name"] for each in answers] == [CLASSES[row.argmax()] for row in scores]


def test_a_damaged_preset_is_one_line_in_every_command(folder, tmp_path):
    whole = (folder / "bare.zip").read_bytes()
    path = tmp_path / "p.zip"
    for content in (b"", b"PK", whole[:-30], whole[: len(whole) // 2], whole[:40] + whole[80:]):
        path.write_bytes(content)
        for line in (
            ("predict", f"--model={path}", folder / "photos"),
            ("export", f"--model={path}", f"--out={tmp_path}/out"),
            ("serve", f"--model={path}", "--port=8531"),
            ("complexity", f"--model={path}"),
        ):
            done = command(*line)
            assert done.returncode == 1
            assert done.stderr.splitlines()[-1].startswith(f"error: {path} is no whole zip file")


def test_a_damaged_saved_model_is_one_line(tmp_path):
    pytest.importorskip("srm_keras.export.serving.server")
    (tmp_path / "saved_model.pb").write_bytes(b"damaged")
    done = command("serve", f"--model={tmp_path}", "--port=8532")
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert last.startswith("error: `saved_model` must be one that can be loaded (")


def preset_command(*arguments):
    return command("preset", *arguments)


def test_checking_tells_what_it_is_or_what_is_wrong(tmp_path):
    model = CifarResNet(8, "basic", input_shape=(8, 8, 3), classes=2)
    card = {"name": "tiny", "metrics": {"test": {"accuracy": 0.75}}}
    preset = save_preset(model, tmp_path / "p", Preprocessing(image_size=8), ("a", "b"), card)
    done = preset_command(f"--check={tmp_path / 'p'}")
    assert done.returncode == 0, done.stderr
    first, second = done.stdout.splitlines()
    assert first == f"tiny: {model.count_params():,} parameters, 2 classes, sha256 {preset.sha256}"
    assert second == "test: accuracy 0.7500"
    (tmp_path / "p" / "classes.json").write_text('["a", "c"]\n')
    done = preset_command(f"--check={tmp_path / 'p'}")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "not as it was saved, by size or SHA-256: classes.json" in done.stderr.splitlines()[-1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "error: Either `--model` and `--out` are required, or `--check` alone."),
        (["--model=none"], "error: Either `--model` and `--out` are required, or `--check` alone."),
        (
            ["--model=none", "--out=x"],
            "error: `--model` must be a run folder of train. Received: 'none', which does not",
        ),
    ],
)
def test_errors_of_saving_and_checking_are_one_line(arguments, message):
    done = preset_command(*arguments)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith(message)
    assert "Traceback" not in done.stderr
