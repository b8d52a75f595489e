"""Files from others: nothing in them is run, whatever they are."""

import copy
import io
import json
import pickle
import shutil
import zipfile

import h5py
import keras
import numpy as np
import pytest

from srm_keras.export.predictor import load_predictor
from srm_keras.export.stylize import load_stylizer
from srm_keras.models import CifarResNet, feature_network
from srm_keras.models.keras_files import read_keras_file
from srm_keras.models.keras_files.allowed_classes import LAYERS, check_config
from srm_keras.models.keras_files.reading import check_weights, read_archive
from srm_keras.training import load_run
from tests.support.command_lines import command


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    path = tmp_path_factory.mktemp("saved") / "network.keras"
    CifarResNet(8, "basic", recalibration="srm", input_shape=(8, 8, 3)).save(path)
    return path


@pytest.fixture(scope="module")
def config(saved):
    with zipfile.ZipFile(saved) as archive:
        return json.loads(archive.read("config.json"))


@pytest.fixture
def unreachable(monkeypatch):
    """Keras is not to see what is refused."""

    def reached(*_, **__):
        raise AssertionError("Keras made objects of a foreign configuration")

    monkeypatch.setattr(keras.saving, "deserialize_keras_object", reached)


def with_files(saved, path, **changed):
    """A copy of the `.keras` file with other contents; None leaves a file out."""
    with zipfile.ZipFile(saved) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    files |= {name.replace("__", "."): content for name, content in changed.items()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            if content is not None:
                archive.writestr(name, content)
    return path


FOREIGN = {
    "a lambda": (
        {"module": "keras.layers", "class_name": "Lambda", "config": {}},
        '"keras.layers.Lambda"',
    ),
    "a function of another module": (
        {"module": "os", "class_name": "function", "config": "system", "registered_name": "system"},
        '"os.function"',
    ),
    "a class of another module": (
        {"module": "subprocess", "class_name": "Popen", "config": {"args": "true"}},
        '"subprocess.Popen"',
    ),
    "a SavedModel": (
        {"module": "keras.layers", "class_name": "TFSMLayer", "config": {"filepath": "/tmp/x"}},
        '"keras.layers.TFSMLayer"',
    ),
    "a reader of files": (
        {"module": "keras.layers", "class_name": "StringLookup", "config": {"vocabulary": "/a"}},
        '"keras.layers.StringLookup"',
    ),
    "a function of Keras": (
        {"module": "keras.utils", "class_name": "get_file", "config": {}},
        '"keras.utils.get_file"',
    ),
    "a private module": (
        {"module": "keras.src.layers.core.lambda_layer", "class_name": "Lambda", "config": {}},
        '"keras.src.layers.core.lambda_layer.Lambda"',
    ),
    "bytecode": ({"class_name": "__lambda__", "config": {"value": "4wEA"}}, '"__lambda__"'),
    "a type": (
        {"class_name": "__typespec__", "spec_name": "x", "module": "os", "config": []},
        '"os.__typespec__"',
    ),
    "another package's layer": (
        {"module": "evil", "class_name": "E", "registered_name": "evil>E", "config": {}},
        '"evil>E"',
    ),
    "a false name of our own": (
        {"module": "evil", "class_name": "SRM", "registered_name": "srm_keras>SRM", "config": {}},
        '"srm_keras>SRM"',
    ),
    "what is ours and no layer": (
        {
            "module": "srm_keras.training.optimizer",
            "class_name": "SGDWithL2",
            "registered_name": "srm_keras>SGDWithL2",
            "config": {},
        },
        '"srm_keras>SGDWithL2"',
    ),
    "a stock layer under another name": (
        {"module": "keras.layers", "class_name": "ReLU", "registered_name": "Lambda", "config": {}},
        '"keras.layers.ReLU"',
    ),
    "no module": ({"class_name": "Zeros", "config": {}}, '"Zeros"'),
    "a name that is none": (
        {"module": "keras.initializers", "class_name": ["Zeros"], "config": {}},
        "Zeros",
    ),
}


@pytest.mark.parametrize("place", ["layer", "initializer"])
@pytest.mark.parametrize(("entry", "name"), FOREIGN.values(), ids=FOREIGN)
def test_foreign_classes_are_named_before_keras_sees_them(
    entry, name, place, config, saved, tmp_path, unreachable
):
    changed = copy.deepcopy(config)
    convolution = next(x for x in changed["config"]["layers"] if x["class_name"] == "Conv2D")
    if place == "layer":
        changed["config"]["layers"].append({**entry, "name": "foreign", "inbound_nodes": []})
    else:
        convolution["config"]["kernel_initializer"] = entry
    path = with_files(saved, tmp_path / "x.keras", config__json=json.dumps(changed))
    with pytest.raises(ValueError, match="must name stock Keras layers and those of") as error:
        read_keras_file(path)
    assert name in str(error.value)
    assert "\n" not in str(error.value)


PREPARED = {"image_size": 8}


def read_features(path):
    return feature_network(["conv1_conv"], str(path), preprocessing="none")


def read_run(path):
    shutil.copy(path, path.with_name("best.keras"))
    companions = {"recipe": {"data": {}, "model": {}}, "classes": [], "preprocessing": PREPARED}
    for name, content in companions.items():
        path.with_name(f"{name}.json").write_text(json.dumps(content))
    return load_run(path.parent)


def count(path):
    done = command("complexity", f"--model={path}")
    assert done.returncode == 1
    raise ValueError(done.stderr.splitlines()[-1])


LOADERS = [read_keras_file, load_predictor, load_stylizer, read_features, read_run, count]


@pytest.mark.parametrize("load", LOADERS)
def test_every_loader_keeps_to_the_list_and_ends_in_one_line(
    load, config, saved, tmp_path, unreachable, monkeypatch
):
    def reached(*_, **__):
        raise AssertionError("Keras opened a foreign file")

    monkeypatch.setattr(keras.saving, "load_model", reached)
    changed = copy.deepcopy(config)
    code = {"module": "keras.layers", "class_name": "Lambda", "config": {}, "name": "foreign"}
    changed["config"]["layers"].append({**code, "inbound_nodes": []})
    (tmp_path / "preprocessing.json").write_text(json.dumps(PREPARED))
    path = with_files(saved, tmp_path / "x.keras", config__json=json.dumps(changed))
    with pytest.raises(ValueError, match=r'keras is refused.*Received: "keras.layers.Lambda"') as e:
        load(path)
    assert "\n" not in str(e.value)
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:12\nsize 9\n"
    whole = saved.read_bytes()
    for content, reason in (
        (pointer, "a pointer of Git LFS: run `git lfs pull`"),
        (b"no network", "no whole zip file"),
        (whole[: len(whole) // 2], "no whole zip file"),
    ):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=reason) as e:
            load(path)
        assert "\n" not in str(e.value)


def test_what_networks_have_before_and_behind_their_body_is_allowed(tmp_path):
    image = keras.Input((8, 8, 3))
    x = keras.layers.Rescaling(np.array([1.0, 2.0, 3.0]), offset=np.float32(1))(image)
    x = keras.layers.Normalization(mean=[1.0, 2.0, 3.0], variance=[1.0, 2.0, 3.0])(x)
    for layer in (
        keras.layers.RandomFlip("horizontal", seed=1),
        keras.layers.RandomRotation(0.1),
        keras.layers.GaussianNoise(0.1),
        keras.layers.Conv2D(4, 3),
        keras.layers.UnitNormalization(),
        keras.layers.SpatialDropout2D(0.2),
        keras.layers.Reshape((36, 4)),
        keras.layers.LayerNormalization(),
        keras.layers.GlobalAveragePooling1D(),
    ):
        x = layer(x)
    model = keras.Model(image, keras.layers.Dense(2)(x))
    model.save(tmp_path / "x.keras")
    images = np.random.default_rng(0).uniform(0, 255, (2, 8, 8, 3)).astype("float32")
    loaded = read_keras_file(tmp_path / "x.keras")
    np.testing.assert_array_equal(loaded.predict(images), model.predict(images))


def test_what_is_allowed_can_be_named_and_computes_only():
    for name in LAYERS:
        layer = getattr(keras.layers, name)
        assert issubclass(layer, keras.layers.Layer)
    assert not LAYERS & {"Lambda", "TFSMLayer", "TorchModuleWrapper", "JaxLayer", "FlaxLayer"}


def test_sums_of_tensors_are_allowed_and_other_operations_are_not():
    x = keras.Input((4, 4, 3))
    check_config(keras.saving.serialize_keras_object(keras.Model(x, (x + 3.0) * x)))
    foreign = keras.Model(x, keras.ops.roll(x, 1))
    with pytest.raises(ValueError, match=r"Received: .*Roll"):
        check_config(keras.saving.serialize_keras_object(foreign))


@pytest.mark.parametrize("config", [[], {}, {"class_name": "Lambda"}, 3, None], ids=str)
def test_what_is_no_model_is_refused(config):
    with pytest.raises(ValueError, match="must be that of a functional or Sequential model"):
        check_config(config)


def test_a_configuration_that_cannot_be_built_is_damaged(config, saved, tmp_path):
    changed = copy.deepcopy(config)
    convolution = next(x for x in changed["config"]["layers"] if x["class_name"] == "Conv2D")
    convolution["config"]["filters"] = "many"
    path = with_files(saved, tmp_path / "x.keras", config__json=json.dumps(changed))
    with pytest.raises(ValueError, match=r"x.keras is damaged: "):
        read_keras_file(path)
    for text in ("[" * 100_000, "{", b"\xff"):
        path = with_files(saved, tmp_path / "x.keras", config__json=text)
        with pytest.raises(ValueError, match=r"config.json is no JSON"):
            read_keras_file(path)


def hdf5(fill):
    """The bytes of an HDF5 file that `fill` writes into."""
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        fill(file)
    return buffer.getvalue()


def external_array(file):
    dtype, external = "f4", [("/etc/hostname", 0, h5py.h5f.UNLIMITED)]
    file.create_dataset("layers/x", shape=(1,), dtype=dtype, external=external)


def virtual_array(file):
    layout = h5py.VirtualLayout(shape=(4,), dtype="f4")
    layout[:] = h5py.VirtualSource("/tmp/other.h5", "x", shape=(4,))
    file.create_virtual_dataset("x", layout)


WEIGHTS = {
    "a link to another file": (lambda f: f.update({"x": h5py.ExternalLink("/a", "b")}), "link"),
    "a link within": (lambda f: f.update({"x": h5py.SoftLink("/y")}), "link"),
    "an array in another file": (external_array, "something other"),
    "a virtual array": (virtual_array, "something other"),
    "text": (lambda f: f.create_dataset("x", data="text"), "something other"),
    "a bomb": (
        lambda f: f.create_dataset("x", data=np.zeros(10**6), compression="gzip"),
        "it is compressed",
    ),
}


@pytest.mark.parametrize(("fill", "message"), WEIGHTS.values(), ids=WEIGHTS)
def test_weights_are_arrays_and_nothing_else(fill, message, saved, tmp_path, unreachable):
    content = hdf5(fill)
    with pytest.raises(ValueError, match=message):
        check_weights(content)
    path = with_files(saved, tmp_path / "x.keras", model__weights__h5=content)
    with pytest.raises(ValueError, match=rf"x.keras is refused: model.weights.h5 .*{message}"):
        read_keras_file(path)


def test_weights_that_are_cut_or_of_another_network_are_refused(saved, tmp_path):
    with zipfile.ZipFile(saved) as archive:
        whole = archive.read("model.weights.h5")
    assert check_weights(whole) == len(keras.saving.load_model(saved).weights)
    other = io.BytesIO()
    with h5py.File(io.BytesIO(whole)) as source, h5py.File(other, "w") as target:
        for name in source:
            source.copy(name, target)
        del target["layers/dense"]
    for content in (whole[: len(whole) // 2], b"", b"\x80\x04K\x01.", other.getvalue()):
        path = with_files(saved, tmp_path / "x.keras", model__weights__h5=content)
        with pytest.raises(ValueError, match=r"x.keras is (refused|damaged)"):
            read_keras_file(path)


def test_other_files_are_told_from_networks(saved, tmp_path):
    wrong = tmp_path / "x.keras"
    whole = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    whole.save(tmp_path / "legacy.h5")
    pickled = pickle.dumps({"weights": 1})
    for content in (pickled, b"", (tmp_path / "legacy.h5").read_bytes(), saved.read_bytes()[:999]):
        wrong.write_bytes(content)
        with pytest.raises(ValueError, match=r"x.keras is no whole zip file"):
            read_keras_file(wrong)
    for path in (tmp_path / "legacy.h5", tmp_path / "none.keras", tmp_path):
        with pytest.raises(ValueError, match=r"`path` must be a .keras file that exists"):
            read_keras_file(path)


@pytest.mark.parametrize(
    "name", ["../evil.py", "/etc/cron.d/evil", "assets/code.py", "config.JSON"]
)
def test_no_other_name_is_read_and_nothing_is_unpacked(name, saved, tmp_path, unreachable):
    path = with_files(saved, tmp_path / "x.keras", **{name.replace(".", "__"): b"x"})
    with pytest.raises(ValueError, match=rf"must hold config.json.*It holds '{name}'"):
        read_keras_file(path)
    assert [file.name for file in tmp_path.iterdir()] == ["x.keras"]


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_archives_have_each_name_once_and_a_size(tmp_path):
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a", bytes(1000))
        archive.writestr("b", b"")
    assert read_archive(path, {"a": 1000, "b": 0}) == {"a": bytes(1000), "b": b""}
    with pytest.raises(ValueError, match=r"a must have at most 999 bytes. Received: 1000"):
        read_archive(path, {"a": 999, "b": 0})
    with pytest.raises(ValueError, match=r"It holds 'b' and lacks 'c'"):
        read_archive(path, {"a": 1000, "c": 0})
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("a", b"other")
    with pytest.raises(ValueError, match=r"It holds twice 'a'"):
        read_archive(path, {"a": 1000, "b": 0})
