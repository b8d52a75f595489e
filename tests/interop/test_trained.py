"""Trained networks by name: from the package, from the Hub's cache, from keras.applications."""

import hashlib
import inspect
import json
import math
import sys

import keras
import numpy as np
import pytest
from PIL import Image

from srm_keras.data import Preprocessing
from srm_keras.data.sources.imagenet import CLASS_NAMES, WORDNET_IDS
from srm_keras.data.texture_shapes import SHAPE_NAMES
from srm_keras.export import load_predictor
from srm_keras.interop import read_trained, save_preset, save_torch_state_dict, trained
from srm_keras.layers import neutral
from srm_keras.models import build, list_weights
from srm_keras.models.weights import Trained
from srm_keras.support.files import read_json
from srm_keras.training import default_recipe
from tests.support.command_lines import command
from tests.support.weights import randomize

SHAPES = Preprocessing(image_size=32, mean=0.5, std=0.25)
CLASSES = tuple(SHAPE_NAMES)
OPTIONS = {"size": 32, "train_examples": 16, "test_examples": 16}
DATA = {**default_recipe().data.to_dict(), "options": OPTIONS}
NAME = "srm_cifar_resnet8_basic.texture_shapes"


def same(one, other, shape=(32, 32, 3)):
    images = np.random.default_rng(0).normal(size=(2, *shape)).astype("float32")
    np.testing.assert_array_equal(
        keras.ops.convert_to_numpy(one(images)), keras.ops.convert_to_numpy(other(images))
    )


@pytest.fixture(scope="module")
def zoo(tmp_path_factory):
    """A folder with one trained network, and the network."""
    folder = tmp_path_factory.mktemp("zoo")
    model = build("cifar_resnet8_basic", recalibration=neutral("srm"), classes=len(CLASSES))
    randomize(model)
    card = {"data": DATA, "metrics": {"test": {"accuracy": 0.875}}, "multiply_adds": 12_500_000}
    save_preset(model, folder / f"{NAME}.zip", SHAPES, CLASSES, card)
    return folder, model


@pytest.fixture
def in_package(zoo, monkeypatch):
    monkeypatch.setattr(trained, "ZOO", zoo[0])
    return zoo[1]


def test_a_network_of_the_package_is_built_with_its_weights(in_package):
    """The module has the gain that it was trained with, which the name does not say."""
    assert NAME in list_weights("*texture_shapes")
    network, weights = NAME.split(".")
    same(build(network, weights=weights, classes=len(CLASSES)), in_package)
    found = read_trained(NAME)
    same(found.model, in_package)
    assert (found.name, found.preprocessing, found.classes) == (NAME, SHAPES, CLASSES)
    assert found.card["metrics"]["test"]["accuracy"] == 0.875
    with pytest.raises(ValueError, match=r"gain=2.0 in `weights`, not 1.0") as refused:
        build(
            network[4:],
            recalibration={"name": "srm", "gain": 1},
            weights=weights,
            classes=len(CLASSES),
        )
    assert "\n" not in str(refused.value)


def test_names_that_there_are_not_end_in_one_line(in_package):
    for call, message in [
        (
            lambda: build("srm_cifar_resnet8_basic", weights="textures"),
            rf"`weights` 'textures' of 'srm_cifar_resnet8_basic' cannot be had: looked for in "
            rf"{trained.ZOO} and in keras.applications; known of it: {NAME} .did you mean",
        ),
        (
            lambda: build("resnet18", weights="imagenet"),
            r"'imagenet' of 'resnet18' cannot .*known of it: timm/resnet18.a1_in1k, ",
        ),
        (
            lambda: build("resnet18", weights="timm/resnet18x.a1_in1k"),
            r"one of the \d+ models .*'timm/resnet18x.a1_in1k' .did you mean 'timm/resnet18.a1",
        ),
        (lambda: build("resnet18", weights="a/b"), r"`weights` must be 'imagenet', .*'a/b', which"),
        (lambda: read_trained("x.weights.h5"), r"whose network is not known: build.NETWORK, weig"),
    ]:
        with pytest.raises(ValueError, match=message) as refused:
            call()
        assert "\n" not in str(refused.value)


def test_commands_work_with_a_network_of_the_package_without_data(in_package, tmp_path):
    Image.fromarray(np.zeros((40, 50, 3), "uint8")).save(tmp_path / "photo.png")
    done = command("predict", f"--model={NAME}", "--top=1", tmp_path / "photo.png")
    assert done.returncode == 0, done.stderr
    assert any(name in done.stdout for name in CLASSES)
    done = command("complexity", f"--model={NAME}")
    assert done.returncode == 0, done.stderr
    done = command("models", "*resnet8_basic*")
    trainable = sum(math.prod(weight.shape) for weight in in_package.trainable_weights)
    networks, table = done.stdout.split("\n\n")
    assert "srm_cifar_resnet8_basic" in networks
    assert table.splitlines()[-1].split(maxsplit=3) == [
        *(NAME, f"{trainable:,}", "12,500,000", "test 0.875")
    ]
    done = command("predict", "--model=srm_cifar_resnet8_basic.none", tmp_path / "photo.png")
    assert done.stderr.startswith("error: `path` 'none' of 'srm_cifar_resnet8_basic' cannot")


@pytest.mark.slow
def test_analyses_exports_and_the_page_take_its_data_from_its_card(
    in_package, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    done = command("gates", f"--models={NAME}", "--samples=8", f"--out={tmp_path}/gates")
    assert done.returncode == 0, done.stderr
    options = ["--formats=float32,web", "--samples=4", f"--out={tmp_path}/export"]
    done = command("export", f"--model={NAME}", *options)
    assert done.returncode == 0, done.stderr
    assert load_predictor(tmp_path / "export" / "model.tflite").classes == CLASSES
    done = command("tools.web_demo", f"--model={NAME}", "--samples=4", f"--out={tmp_path}/page")
    assert done.returncode == 0, done.stderr
    assert read_json(tmp_path / "page" / "model.json")["classes"] == list(CLASSES)
    assert (tmp_path / "exports" / NAME.split(".")[0] / "web" / "model.json").is_file()


SIZE = 32
CONFIG = {
    "architecture": "resnet10t",
    "num_classes": 1000,
    "pretrained_cfg": {
        "tag": "made_in1k",
        "input_size": [3, SIZE, SIZE],
        "crop_pct": 0.9,
        "crop_mode": "center",
        "interpolation": "bicubic",
        "mean": [0.5, 0.4, 0.3],
        "std": [0.2, 0.25, 0.3],
        "license": "apache-2.0",
    },
}
TIMM = "timm/resnet10t.made_in1k"


@pytest.fixture(scope="module")
def hub_cache(tmp_path_factory):
    """The Hub's cache with one repository in it, and the network whose weights that holds."""
    pytest.importorskip("safetensors")
    model = build("resnet10t", input_shape=(SIZE, SIZE, 3))
    randomize(model)
    made = tmp_path_factory.mktemp("made")
    save_torch_state_dict(model, made / "model.safetensors", "timm")
    (made / "config.json").write_text(json.dumps(CONFIG))
    cache = tmp_path_factory.mktemp("hub")
    repository = cache / f"models--{TIMM.replace('/', '--')}"
    snapshot = repository / "snapshots" / ("0a" * 20)
    for folder in ("blobs", "refs"):
        (repository / folder).mkdir(parents=True)
    snapshot.mkdir(parents=True)
    (repository / "refs" / "main").write_text(snapshot.name)
    for file in made.iterdir():
        blob = repository / "blobs" / hashlib.sha256(file.read_bytes()).hexdigest()
        file.rename(blob)
        (snapshot / file.name).symlink_to(f"../../blobs/{blob.name}")
    return cache, model


@pytest.fixture
def offline(hub_cache, monkeypatch):
    constants = pytest.importorskip("huggingface_hub.constants")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(hub_cache[0]))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    return hub_cache[1]


def test_a_network_of_timm_comes_with_its_preprocessing_and_class_names(offline):
    found = read_trained(f"{TIMM}@{'0a' * 20}")
    same(found.model, offline, (SIZE, SIZE, 3))
    assert found.preprocessing == Preprocessing(
        image_size=SIZE,
        resize=35,  # ⌊32 / 0.9⌋
        mean=(0.5, 0.4, 0.3),
        std=(0.2, 0.25, 0.3),
        interpolation="bicubic",
    )
    assert (found.classes, found.card["license"]) == (CLASS_NAMES, "apache-2.0")
    image = np.random.default_rng(0).integers(0, 256, (90, 70, 3), "uint8")
    predictor = load_predictor(TIMM)
    inputs = found.preprocessing.evaluation(image)[None]
    np.testing.assert_allclose(predictor.scores([image]), offline(inputs), atol=1e-6)
    assert predictor.class_name(0) == "tench"


def test_other_classes_begin_with_a_new_classifier(offline, caplog):
    model = build("resnet10t", weights=TIMM, classes=5, input_shape=(SIZE, SIZE, 3))
    told = f"`weights` '{TIMM}': 28 layers loaded; the classifier is new, of 5 classes instead of 1"
    assert told in caplog.text
    features = (keras.Model(m.input, m.get_layer("pool").output) for m in (model, offline))
    same(*features, (SIZE, SIZE, 3))


def test_what_the_hub_has_not_ends_in_one_line(offline, hub_cache, monkeypatch):
    for name, message in [
        (
            "timm/seresnet50.a9_in1k",
            rf"^timm/seresnet50.a9_in1k cannot be read: looked for in {hub_cache[0]} and at "
            r"https://huggingface.co/timm/seresnet50.a9_in1k .*; known of seresnet50: a1_in1k a2",
        ),
        ("hf://me/none", r"^hf://me/none cannot be read: looked for in "),
    ]:
        with pytest.raises(ValueError, match=message) as refused:
            read_trained(name)
        assert "\n" not in str(refused.value)
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(ImportError, match=r"needs the package huggingface_hub\. Install it with"):
        read_trained(TIMM)


def test_state_dicts_in_files_are_networks_too(hub_cache, tmp_path):
    cache, model = hub_cache
    weights = tmp_path / "weights.safetensors"
    weights.symlink_to(next(cache.rglob("model.safetensors")).resolve())
    found = read_trained(weights)
    assert found.model.input_shape == (None, 224, 224, 3)
    for one, other in zip(found.model.weights, model.weights, strict=True):
        np.testing.assert_array_equal(one, other)
    assert (found.preprocessing.resize, found.classes) == (256, CLASS_NAMES)


@pytest.mark.slow
def test_a_folder_as_timm_saves_it_says_what_its_images_are(hub_cache):
    folder = next(hub_cache[0].rglob("config.json")).parent
    assert read_trained(folder / "model.safetensors").preprocessing.interpolation == "bicubic"


def test_the_card_of_a_converted_file_says_what_its_images_are(in_package, tmp_path):
    in_package.save(tmp_path / "net.keras")
    assert read_trained(tmp_path / "net.keras").preprocessing is None
    contents = {"classes": 1000, "classifier": "of the source"}
    card = {"preprocessing": SHAPES.to_dict(), "contents": contents}
    (tmp_path / "net.keras.card.json").write_text(json.dumps(card))
    found = read_trained(tmp_path / "net.keras")
    assert (found.preprocessing, found.classes) == (SHAPES, CLASS_NAMES)


@pytest.fixture
def imagenet(monkeypatch):
    """A stand-in for the weights of keras.applications: the same kind of network, but small."""
    model = build("cifar_resnet8_bottleneck", stride_in="1x1", classes=1000)
    randomize(model)
    networks = {"cifar_resnet8_bottleneck": "Small"}
    monkeypatch.setattr(trained, "IMAGENET_NETWORKS", networks)
    found = Trained(model, "cifar_resnet8_bottleneck.imagenet", "0", SHAPES, CLASS_NAMES)
    monkeypatch.setattr(trained, "read_imagenet", lambda network, options: found)
    return model


@pytest.mark.parametrize("module", ["", "srm_", "cbam_"])
def test_imagenet_weights_decide_the_strides_and_modules_start_neutral(module, imagenet):
    name = f"{module}cifar_resnet8_bottleneck"
    same(build(name, weights="imagenet", classes=1000), imagenet)
    same(read_trained(f"{name}.imagenet").model, imagenet)
    with pytest.raises(ValueError, match=r"conv3_1_1_conv has .*strides.* in `weights`, not"):
        build(name, weights="imagenet", classes=1000, stride_in="3x3")


@pytest.mark.slow
def test_other_networks_of_keras_applications_have_imagenet_weights_too(monkeypatch):
    def loaded(weights, **options):
        assert weights == "imagenet"
        made.append(built(weights=None, **options))
        randomize(made[0])
        return made[0]

    made, built = [], keras.applications.MobileNet
    loaded.__signature__ = inspect.signature(built)
    monkeypatch.setattr(keras.applications, "MobileNet", loaded)
    found = read_trained("MobileNet.imagenet")
    same(found.model, made[0], (224, 224, 3))
    assert (found.preprocessing.mean, found.classes) == ((0.5,), CLASS_NAMES)


@pytest.mark.slow
def test_resnet50_of_keras_applications(monkeypatch):
    def loaded(weights):
        assert weights == "imagenet"
        model = built(weights=None)
        randomize(model)
        made.append(model)
        return model

    made, built = [], keras.applications.ResNet50
    monkeypatch.setattr(keras.applications, "ResNet50", loaded)
    images = np.random.default_rng(0).integers(0, 256, (1, 224, 224, 3)).astype("float32")
    model = build("srm_resnet50", weights="imagenet")
    inputs = read_trained("resnet50.imagenet").preprocessing.standardized(images)
    expected = made[0](keras.applications.resnet.preprocess_input(images.copy()))
    np.testing.assert_allclose(model(inputs), expected, atol=1e-5)


def test_class_names_are_in_the_order_of_the_data_set():
    import tensorflow_datasets as tfds

    labels = tfds.core.tfds_path("datasets/imagenet2012/labels.txt").read_text().split()
    assert list(WORDNET_IDS) == labels
    assert len(set(CLASS_NAMES)) == 1000
    known = {"n01440764": "tench", "n03888257": "parachute", "n03417042": "garbage truck"}
    names = dict(zip(WORDNET_IDS, CLASS_NAMES, strict=True))
    assert {wordnet: names[wordnet] for wordnet in known} == known
