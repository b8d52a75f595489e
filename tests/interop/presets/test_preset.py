"""A preset comes back as it was saved, and not at all when it was changed."""

import json
import sys
import types
import zipfile

import keras
import numpy as np
import pytest

from srm_keras.data import Preprocessing
from srm_keras.interop import load_preset, read_keras_file, save_preset
from srm_keras.interop.presets import LIMITS, MANIFEST, with_manifest
from srm_keras.models import CifarResNet
from tests.support.strict_json import strictly
from tests.support.weights import randomize

PREPROCESSING = Preprocessing(image_size=16, mean=(0.4, 0.5, 0.6), std=0.25, flip=True)
CLASSES = ("disc", "ring", "cross")
CARD = {"license": "cc-by-4.0", "metrics": {"test": {"accuracy": 0.5, "loss": 1.25}}}


def network(**options):
    model = CifarResNet(8, "basic", input_shape=(16, 16, 3), classes=3, **options)
    randomize(model)
    return model


@pytest.fixture(scope="module")
def preset(tmp_path_factory):
    folder = tmp_path_factory.mktemp("presets") / "shapes.v1"
    return folder, save_preset(network(recalibration="srm"), folder, PREPROCESSING, CLASSES, CARD)


@pytest.fixture
def copy(preset, tmp_path):
    """The files of the preset in a folder of their own."""
    folder = tmp_path / "copy"
    folder.mkdir()
    for path in preset[0].iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    return folder


def same_outputs(one, other):
    images = np.random.default_rng(0).normal(size=(2, 16, 16, 3)).astype("float32")
    np.testing.assert_array_equal(one(images), other(images))


@pytest.mark.parametrize("name", ["shapes.v1", "shapes.zip"])
def test_all_of_it_comes_back(name, preset, tmp_path):
    folder, saved = preset
    path = tmp_path / name
    if path.suffix == ".zip":
        saved = save_preset(saved.model, path, PREPROCESSING, CLASSES, CARD)
        assert path.stat().st_size < sum(file.stat().st_size for file in folder.iterdir())
    loaded = load_preset(path if path.suffix == ".zip" else folder)
    same_outputs(saved.model, loaded.model)
    assert (loaded.preprocessing, loaded.classes) == (PREPROCESSING, CLASSES)
    assert (loaded.card, loaded.sha256) == (saved.card, saved.sha256)
    assert loaded.card["metrics"] == CARD["metrics"]
    assert not loaded.model.compiled


def test_it_is_a_folder_that_keras_and_the_hub_read(preset):
    folder, saved = preset
    assert {path.name for path in folder.iterdir()} == set(LIMITS)
    same_outputs(saved.model, keras.saving.load_model(folder))
    _, front, body = (folder / "README.md").read_text().split("---\n", 2)
    matter = dict(line.split(": ", 1) for line in front.splitlines())
    assert json.loads(matter["library_name"]) == "keras"
    assert json.loads(matter["license"]) == "cc-by-4.0"
    result = json.loads(matter["model-index"])[0]["results"][0]
    assert result["metrics"][0] == {"type": "accuracy", "value": 0.5}
    assert all(name in body for name in CLASSES)


def test_a_score_that_is_no_number_is_null_and_not_told_to_the_hub(preset, tmp_path):
    card = {"metrics": {"test": {"accuracy": 0.5, "loss": float("nan")}}}
    saved = save_preset(preset[1].model, tmp_path / "p", PREPROCESSING, CLASSES, card)
    assert strictly((tmp_path / "p" / "card.json").read_text()) == saved.card
    assert saved.card["metrics"]["test"] == {"accuracy": 0.5, "loss": None}
    _, front, body = (tmp_path / "p" / "README.md").read_text().split("---\n", 2)
    assert "NaN" not in front + body
    assert "null" not in front
    assert "| test | 0.5000 | – |" in body


@pytest.mark.parametrize("options", [{"recalibration": "ge", "shortcut": "identity"}, {}], ids=str)
def test_a_compiled_network_is_saved_without_its_optimizer(options, tmp_path):
    model = network(**options)
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy())
    save_preset(model, tmp_path / "p", PREPROCESSING, CLASSES)
    loaded = load_preset(tmp_path / "p").model
    assert not loaded.compiled
    same_outputs(model, loaded)


@pytest.mark.parametrize("name", sorted(LIMITS))
def test_a_file_that_was_changed_cut_or_removed_is_named(name, copy):
    path = copy / name
    whole = path.read_bytes()
    middle = len(whole) // 2
    changed = whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :]
    for content in (changed, whole[:-9], b""):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=rf"(refused|damaged).*({name}|[\w.]+)") as error:
            load_preset(copy)
        assert name in str(error.value) or name == MANIFEST
    path.unlink()
    with pytest.raises(ValueError, match=f"lacks '{name}'"):
        load_preset(copy)


def test_other_files_are_refused_but_for_hidden_ones(copy, preset):
    (copy / ".gitattributes").write_text("*.h5 filter=lfs")
    assert load_preset(copy).sha256 == preset[1].sha256
    (copy / "setup.py").write_text("raise SystemExit")
    with pytest.raises(ValueError, match=r"holds 'setup.py'"):
        load_preset(copy)


def test_check_sums_that_fit_do_not_make_it_right(copy):
    """Whoever changes a file can write the manifest anew; what it says must still fit."""
    for name, value, message in [
        ("classes.json", ["disc", "ring"], r"`classes` must name each of the outputs"),
        ("classes.json", [1, 2, 3], r"damaged: classes.json"),
        ("preprocessing.json", {"image_size": 32}, r"`preprocessing` must make images of shape"),
        ("preprocessing.json", {"image_size": "a"}, r"preprocessing.json: `image_size` must be"),
    ]:
        parts = {path.name: path.read_bytes() for path in copy.iterdir() if path.name != MANIFEST}
        parts[name] = json.dumps(value).encode()
        forged = copy.with_name("forged.zip")
        with zipfile.ZipFile(forged, "w") as archive:
            for file, content in with_manifest(parts).items():
                archive.writestr(file, content)
        with pytest.raises(ValueError, match=message):
            load_preset(forged)


def test_what_is_there_is_not_lost(preset, tmp_path):
    folder, saved = preset
    model = saved.model
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    for overwrite in (False, True):
        with pytest.raises(ValueError, match=r"`path` must be free or a preset"):
            save_preset(model, tmp_path / "mine", PREPROCESSING, CLASSES, overwrite=overwrite)
    with pytest.raises(ValueError, match=r"`path` holds a preset.*`overwrite`"):
        save_preset(model, folder, PREPROCESSING, CLASSES)
    once = save_preset(model, tmp_path / "p", PREPROCESSING, CLASSES)
    again = save_preset(model, tmp_path / "p", PREPROCESSING, CLASSES[::-1], overwrite=True)
    assert load_preset(tmp_path / "p").sha256 == again.sha256 != once.sha256


def test_other_peoples_archives_and_manifests_are_no_presets(preset, tmp_path):
    app, archive, text = (tmp_path / name for name in ("app", "data.zip", "thesis.zip"))
    app.mkdir()
    (app / MANIFEST).write_text('{"name": "a web app"}')
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("data.csv", "1,2")
    text.write_text("years of work")
    for path in (app, archive, text):
        with pytest.raises(ValueError, match=r"`path` must be free or a preset"):
            save_preset(preset[1].model, path, PREPROCESSING, CLASSES, overwrite=True)
    mine = tmp_path / "mine.zip"
    save_preset(preset[1].model, mine, PREPROCESSING, CLASSES)
    again = save_preset(preset[1].model, mine, PREPROCESSING, CLASSES[::-1], overwrite=True)
    assert load_preset(mine).sha256 == again.sha256


def test_what_could_not_be_loaded_is_not_saved(tmp_path):
    inputs = keras.Input((16, 16, 3))
    outputs = keras.layers.Lambda(lambda x: x[:, 0, 0])(inputs)
    with pytest.raises(ValueError, match=r"Received: .*keras.layers.Lambda"):
        save_preset(keras.Model(inputs, outputs), tmp_path / "p", PREPROCESSING, CLASSES)
    with pytest.raises(ValueError, match=r"`classes` must name each of the outputs"):
        save_preset(network(), tmp_path / "p", PREPROCESSING, CLASSES[:2])
    with pytest.raises(ValueError, match=r"`preprocessing` must make images of shape .16, 16, 3."):
        save_preset(network(), tmp_path / "p", Preprocessing(image_size=32), CLASSES)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("value", [np.nan, -np.inf])
def test_weights_that_are_not_finite_are_neither_saved_nor_loaded(value, preset, copy, tmp_path):
    """By name; of a preset, a .keras file (a run's `init`) and a file of weights alike."""
    model = network(recalibration="srm")
    kernel = model.get_layer("conv3_1_1_conv").kernel
    array = keras.ops.convert_to_numpy(kernel).copy()
    array[-1, -1, -1, -1] = value
    kernel.assign(array)
    message = r"must have finite weights\. Received: NaN or infinity in '.*conv3_1_1_conv/kernel'"
    with pytest.raises(ValueError, match=message):
        save_preset(model, tmp_path / "other", PREPROCESSING, CLASSES)
    assert not (tmp_path / "other").exists()
    model.save(tmp_path / "model.keras")
    with pytest.raises(ValueError, match=message):
        read_keras_file(tmp_path / "model.keras")
    model.save_weights(tmp_path / "model.weights.h5")
    with pytest.raises(ValueError, match=message):
        network(recalibration="srm", weights=tmp_path / "model.weights.h5")
    (copy / "model.weights.h5").write_bytes((tmp_path / "model.weights.h5").read_bytes())
    parts = {path.name: path.read_bytes() for path in copy.iterdir() if path.name != MANIFEST}
    (copy / MANIFEST).write_bytes(with_manifest(parts)[MANIFEST])
    with pytest.raises(ValueError, match=message):
        load_preset(copy)


def test_nothing_there_is_one_clear_error(tmp_path):
    with pytest.raises(ValueError, match=r"`source` must be a folder or a .zip file that exists"):
        load_preset(tmp_path / "none")
    with pytest.raises(ValueError, match=r"must hold config.json.*lacks 'config.json'"):
        load_preset(tmp_path)
    (tmp_path / "p.zip").write_bytes(b"\x80\x04K\x01.")
    with pytest.raises(ValueError, match=r"p.zip is no whole zip file"):
        load_preset(tmp_path / "p.zip")


class NoNetworkError(Exception):
    """httpx raises its own, which are no OSErrors."""


@pytest.fixture
def hub(preset, monkeypatch):
    """A stand-in for huggingface_hub, with the preset as the only repository."""
    asked = []

    def snapshot_download(repo_id, revision=None, allow_patterns=None):
        asked.append((repo_id, revision, set(allow_patterns)))
        if repo_id != "me/shapes":
            raise NoNetworkError("404 Client Error.\n\nRepository Not Found")
        return str(preset[0])

    module = types.ModuleType("huggingface_hub")
    module.snapshot_download = snapshot_download
    module.constants = types.SimpleNamespace(HF_HUB_CACHE="CACHE", ENDPOINT="https://hub")
    monkeypatch.setitem(sys.modules, "huggingface_hub", module)
    return asked


def test_a_repository_of_the_hub_can_be_pinned(preset, hub):
    assert load_preset("hf://me/shapes@0a1b2c").sha256 == preset[1].sha256
    load_preset("hf://me/shapes")
    assert hub == [("me/shapes", "0a1b2c", set(LIMITS)), ("me/shapes", None, set(LIMITS))]
    with pytest.raises(
        ValueError,
        match=r"^hf://me/other cannot be read: looked for in CACHE and at "
        r"https://hub/me/other \(404 Client Error\)$",
    ):
        load_preset("hf://me/other")
    for wrong in ("hf://me", "hf://me/shapes/more", "hf://me/shapes@"):
        with pytest.raises(ValueError, match=r"must have the form hf://USER/REPOSITORY"):
            load_preset(wrong)


def test_without_the_hubs_package_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(ImportError, match="pip install huggingface-hub"):
        load_preset("hf://me/shapes")
