"""What `--model` and `--models` name is told by one function, and loaded by one."""

import json

import keras
import numpy as np
import pytest
from PIL import Image

from srm_keras.cli import flags as shared
from srm_keras.cli.networks import analysed_runs, kind_of, load_trained
from srm_keras.data import Preprocessing
from srm_keras.interop import save_preset
from srm_keras.support.files import read_csv, read_json, write_json
from tests.support.command_lines import command
from tests.support.gated_network import gated_network, gates_of
from tests.support.weights import randomize

CLASSES = ("disc", "ring", "star", "cross", "bar")
PREPROCESSING = Preprocessing(image_size=8, mean=(0.4, 0.5, 0.6), std=(0.2, 0.25, 0.5))


def test_every_kind_is_told_apart_without_loading_it(tmp_path):
    write_json(tmp_path / "run" / "recipe.json", {"data": {}, "model": {}})
    write_json(tmp_path / "stylizer" / "recipe.json", {"method": "adain"})
    write_json(tmp_path / "preset" / "manifest.json", {})
    for name in ("best/best.keras", "last/last.keras", "saved_model/saved_model.pb"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).touch()
    kinds = {
        "run": ("run", "best"),
        "stylizer": ("stylizer", "last"),
        "preset": ("preset", "gone.zip"),
        "keras": ("best/best.keras", "gone.keras"),
        "saved_model": ("saved_model",),
        "torch": ("a.safetensors", "b.pth"),
        "tflite": ("a.tflite",),
        "onnx": ("a.onnx",),
    }
    for kind, names in kinds.items():
        for name in names:
            assert kind_of(f"{tmp_path}/{name}", tuple(shared.KINDS)) == kind
            others = [other for other in shared.KINDS if other != kind]
            with pytest.raises(ValueError, match=r"^`--model` must be .*, an? ") as refused:
                kind_of(f"{tmp_path}/{name}", others)
            assert str(refused.value).endswith(f"'{tmp_path}/{name}', {shared.KINDS[kind]}")
    assert kind_of("hf://owner/name", ("preset",)) == "preset"
    for name in ("timm/seresnet50.ra2_in1k", "resnet50.imagenet"):
        assert kind_of(name, shared.CLASSIFIERS) == "named"
    for name, what in ((tmp_path, "of another kind"), ("gone", "which does not exist")):
        with pytest.raises(ValueError, match=f" or an .onnx file. Received: '{name}', {what}$"):
            kind_of(str(name), tuple(shared.KINDS))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The same network as a preset and, beside preprocessing and classes, as a .keras file."""
    folder = tmp_path_factory.mktemp("networks")
    gated = gated_network("srm")
    scores = keras.layers.Softmax()(gated.output)
    model = keras.Model(gated.input, scores)
    randomize(model)
    save_preset(model, folder / "preset", PREPROCESSING, CLASSES)
    model.save(folder / "net.keras")
    write_json(folder / "preprocessing.json", PREPROCESSING.to_dict())
    write_json(folder / "classes.json", list(CLASSES))
    (folder / "alone").mkdir()
    model.save(folder / "alone" / "net.keras")
    (folder / "photos").mkdir()
    for number, image in enumerate(
        np.random.default_rng(0).integers(0, 256, (3, 9, 8, 3), "uint8")
    ):
        Image.fromarray(image).save(folder / "photos" / f"{number}.png")
    return folder


def test_presets_and_keras_files_are_loaded_like_runs(folder):
    x = np.random.default_rng(1).normal(size=(2, 8, 8, 3)).astype("float32")
    runs = analysed_runs([f"{folder}/preset", f"{folder}/*.keras"], gates=True, files=True)
    assert list(runs) == ["preset", "net"]
    one, other = runs.values()
    assert (one.classes, one.preprocessing) == (other.classes, other.preprocessing)
    np.testing.assert_array_equal(one.model(x), other.model(x))
    with pytest.raises(ValueError, match=r"needs preprocessing.json and classes.json beside it"):
        load_trained(f"{folder}/alone/net.keras")


def test_networks_without_data_are_explained_on_image_files(folder, tmp_path):
    models = f"--models={folder}/preset,{folder}/net.keras"
    done = command("grad_cam", models, f"--images={folder}/photos", f"--out={tmp_path}")
    assert done.returncode == 0, done.stderr
    record = json.loads((tmp_path / "grad_cam.json").read_text())
    assert [image["file"] for image in record["images"]] == ["0.png", "1.png", "2.png"]
    assert all(image["runs"]["preset"] == image["runs"]["net"] for image in record["images"])
    for name in ("grad_cam", "gates", "top_activations", "prune"):
        done = command(name, models, f"--out={tmp_path / name}")
        assert done.returncode == 1
        assert done.stderr.splitlines()[-1].endswith("does not say what data it was trained on")


def test_gates_are_read_of_image_files(folder, tmp_path):
    models = [f"--models={folder}/preset,{folder}/net.keras", f"--images={folder}/photos"]
    done = command("gates", *models, f"--out={tmp_path}/gates")
    assert done.returncode == 0, done.stderr
    rows = read_json(tmp_path / "gates" / "statistics.json")
    assert {(row["run"], row["images"]) for row in rows} == {("preset", 3), ("net", 3)}
    run = load_trained(f"{folder}/net.keras")
    pixels = [np.asarray(Image.open(path)) for path in sorted((folder / "photos").iterdir())]
    inputs = np.stack([PREPROCESSING.evaluation(image).numpy() for image in pixels])
    expected = [gates.mean() for gates in gates_of(run.model, inputs).values()]
    means = [row["mean"] for row in rows if row["run"] == "net"]
    assert means == pytest.approx(expected, abs=1e-6)
    done = command("top_activations", *models, "--top=2", f"--out={tmp_path}/top")
    assert done.returncode == 0, done.stderr
    labels = {row["image"]: row["label"] for row in read_csv(tmp_path / "top" / "top.csv")}
    assert labels == {str(k): str(folder / "photos" / f"{k}.png") for k in range(3)}


def test_a_command_says_which_kinds_it_takes(folder, tmp_path):
    (tmp_path / "net.tflite").touch()
    for name, takes in {
        "export": ("run", "stylizer", *shared.CLASSIFIERS[1:]),
        "serve": ("saved_model", *shared.CLASSIFIERS),
        "complexity": shared.CLASSIFIERS,
        "preset": ("run",),
    }.items():
        options = [f"--out={tmp_path}"] if name in ("export", "preset") else []
        done = command(name, f"--model={tmp_path}/net.tflite", *options)
        assert (done.returncode, done.stdout) == (1, "")
        known, told = shared.either(takes), f"'{tmp_path}/net.tflite', a .tflite file"
        assert done.stderr == f"error: `--model` must be {known}. Received: {told}\n"
