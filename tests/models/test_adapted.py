"""Networks of keras.applications and of files, made for other images and classes."""

import re

import keras
import numpy as np
import pytest

from srm_keras.layers import Recalibration
from srm_keras.layers.conventions import dtype_policy
from srm_keras.models.adapted import adapted, architecture_digest, is_adaptable
from srm_keras.models.applications import (
    application_classifier,
    application_names,
    application_preprocessing,
    application_standardization,
)
from srm_keras.models.head import head_of
from tests.support.foreign_models import (
    convolutional_head_model,
    plain_model,
    siamese_model,
    squeeze_excite_model,
    transfer_model,
)
from tests.support.weights import randomize
from tools.studies.insertion_table import SIDES

SMALL = "MobileNetV3Small"
CHAOTIC = "EfficientNetV2L"  # New, its logits of images that are 1e-6 off are others altogether.


def saved(model, folder):
    path = folder / f"{model.name}.keras"
    model.save(path)
    return str(path)


def modules(model):
    return [layer.name for layer in model.layers if isinstance(layer, Recalibration)]


@pytest.fixture(scope="module")
def transfer(tmp_path_factory):
    return saved(transfer_model(), tmp_path_factory.mktemp("files"))


def test_a_file_is_taken_apart_and_made_for_other_images_and_classes(transfer):
    model = adapted(transfer, (24, 24, 3), 5, "srm")
    assert (model.input_shape, model.output_shape) == ((None, 24, 24, 3), (None, 5))
    assert [layer.name for layer in model.layers if layer.weights] == [
        *("stem", "conv1", "bn1", "conv2", "bn2", "bn2_recalibration", "logits")
    ]
    assert modules(model) == ["bn2_recalibration"]
    assert all(layer.trainable for layer in model.layers)
    theirs = keras.saving.load_model(transfer)
    kernels = [
        network.get_layer("stem").kernel.numpy() for network in (model, theirs.get_layer("inner"))
    ]
    assert kernels[0].shape == kernels[1].shape
    assert not np.array_equal(*kernels)
    image = np.random.default_rng(0).normal(size=(1, 24, 24, 3)).astype("float32")
    standardized = model.get_layer("standard")(image)
    expected = (image - [0.1, 0.2, 0.3]) / np.sqrt([1.0, 2.0, 4.0])
    np.testing.assert_allclose(standardized, expected, rtol=1e-5)


def test_places_in_inner_models_go_by_their_paths(transfer):
    model = adapted(transfer, (16, 16, 3), 3, ["se", "srm"], ("inner/stem", "conv1"))
    assert modules(model) == ["stem_recalibration", "conv1_recalibration"]


def test_adapted_statistics_are_kept(tmp_path):
    x = image = keras.Input((8, 8, 3))
    standard = keras.layers.Normalization(name="standard")
    standard.adapt(np.random.default_rng(0).normal(3.0, 2.0, (16, 8, 8, 3)))
    x = keras.layers.Conv2D(2, 3, name="conv")(standard(x))
    path = saved(keras.Model(image, x, name="adapted"), tmp_path)
    model = adapted(path, (8, 8, 3), 4)
    kept = model.get_layer("standard")
    for one, other in zip(kept.get_weights(), standard.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    assert model.output_shape == (None, 4)  # It had no classifier.
    assert head_of(model) == "predictions"


def test_a_convolutional_classifier_is_exchanged(tmp_path):
    path = saved(convolutional_head_model(), tmp_path)
    for classes in (3, 7):
        model = adapted(path, (8, 8, 3), classes)
        assert head_of(model) == "preds"
        assert model.output_shape == (None, classes)
    assert head_of(keras.Model(model.input, model.get_layer("conv").output)) is None


def test_modules_replace_squeeze_and_excitation(tmp_path):
    path = saved(squeeze_excite_model(), tmp_path)
    model = adapted(path, (8, 8, 3), 2, "eca", "existing_se")
    assert modules(model) == ["excite_recalibration"]
    assert "expand" not in [layer.name for layer in model.layers]
    assert "expand" in [layer.name for layer in adapted(path, (8, 8, 3), 2).layers]


def test_under_mixed_precision_only_the_last_layer_is_float32(transfer):
    with dtype_policy("mixed_float16"):
        model = adapted(transfer, (16, 16, 3), 4, "srm")
    computed = {layer.name: layer.compute_dtype for layer in model.layers}
    assert computed["logits"] == "float32"
    assert {computed[name] for name in ("conv1", "bn2_recalibration", "pool")} == {"float16"}
    assert model.outputs[0].dtype == "float32"


def test_names_of_this_package_come_first():
    assert [*map(is_adaptable, ("ResNet50", "efficientnet_b0", "any/file.keras"))] == [True] * 3
    assert [*map(is_adaptable, ("resnet50", "EfficientNetB9", "srm_resnet50"))] == [False] * 3


def test_a_digest_tells_architectures_and_not_weights(tmp_path):
    first, second = (tmp_path / name for name in ("first", "second"))
    for folder in (first, second):
        folder.mkdir()
    digests = [architecture_digest(saved(transfer_model(), folder)) for folder in (first, second)]
    assert digests[0] == digests[1]
    assert architecture_digest(saved(plain_model(), first)) != digests[0]
    assert architecture_digest("EfficientNetB0") is None


def of_keras(name, images, options):
    """A network as its constructor builds it, and its logits for RGB images from 0 to 255.

    Weights are new but for LayerScale's 1e-6, which would hide blocks: norms that did something
    would make the logits of deep networks depend on rounding alone. The statistics of
    EfficientNet's standardization are, with what comes behind it where weights are loaded, those
    of ImageNet.
    """
    model = getattr(keras.applications, name)(weights=None, **options)
    for layer in model.layers:
        if type(layer).__name__ == "LayerScale":
            randomize(layer)
        if isinstance(layer, keras.layers.Normalization) and layer.weights:
            mean, variance = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225]) ** 2
            layer.load_own_variables({"0": mean, "1": variance, "2": 0})
    module = getattr(keras.applications, model_module(name))
    return model, model(module.preprocess_input(images.copy())).numpy()


def model_module(name):
    return getattr(keras.applications, name).__module__.rpartition(".")[2]


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(n, marks=() if n == SMALL else pytest.mark.slow)
        for n in application_names()
        if n != CHAOTIC
    ],
)
def test_every_network_computes_what_its_constructors_computes(name, tmp_path):
    """With the standardization that is said to be its own, from RGB images and a file's weights.

    Its names are those of a process in which nothing was built before.
    """
    side = SIDES.get(name, 32)
    rest = {"classifier_activation": None}
    if name == SMALL:
        rest |= {"minimalistic": True, "alpha": 0.75}
    options = {"input_shape": (side, side, 3), "classes": 4, **rest}
    images = np.random.default_rng(0).integers(0, 256, (4, side, side, 3)).astype("float32")
    source, expected = of_keras(name, images, options)
    source.save_weights(tmp_path / "net.weights.h5")
    file = str(tmp_path / "net.weights.h5")
    ours = application_classifier(name, (side, side, 3), 4, rest, file)
    mean, std = application_standardization(name)
    found = ours((images / 255 - mean) / std).numpy()
    spread = np.linalg.norm(expected - expected.mean(axis=0))
    assert spread > 1e-3 * np.linalg.norm(expected)  # It tells images apart.
    assert np.linalg.norm(found - expected) < 1e-4 * spread
    names = [operation.name for operation in ours.operations]
    assert names[0] == "image"
    assert not {"rescaling", "normalization"} & set(names)
    for stem in {name.rpartition("_")[0] for name in names if re.fullmatch(r"[a-z0-9]+_\d+", name)}:
        assert stem in names or stem in ("block", "conv"), stem


@pytest.mark.slow
@pytest.mark.parametrize("name", application_names())
def test_modules_go_into_every_network(name, tmp_path):
    side = SIDES.get(name, 32)
    model = adapted(name, (side, side, 1), 4, {"name": "srm", "gain": 2.0})
    assert model.output_shape == (None, 4)
    assert head_of(model) == [layer.name for layer in model.layers if layer.weights][-1]
    assert modules(model)
    assert not [name for name in modules(model) if not model.get_layer(name).trainable]
    model.save(tmp_path / "net.keras")
    again = adapted(str(tmp_path / "net.keras"), (side, side, 1), 7)
    assert again.output_shape == (None, 7)
    assert [layer.name for layer in again.layers] == [layer.name for layer in model.layers]


def test_grey_images_have_the_mean_standardization():
    mean = (123.68 + 116.779 + 103.939) / 3 / 255
    assert application_standardization("VGG16", 1) == ((pytest.approx(mean),), (1 / 255,))
    assert application_preprocessing("VGG16") == "caffe"


REFUSED = [
    ({"name": SMALL, "options": {"weights": "imagenet"}}, "'weights': `init` names"),
    ({"name": SMALL, "options": {"include_preprocessing": True}}, "by `data.preprocessing`"),
    ({"name": SMALL, "options": {"alfa": 1}}, r"no option 'alfa'; it has alpha, .*mean 'alpha'"),
    ({"name": "InceptionV3"}, "'InceptionV3': Input size must be at least 75x75"),
    ({"name": "VGG15"}, "one of .*'vgg16', .*Received: network='VGG15'"),
    ({"name": "none.keras"}, r"must be a .keras file that exists. Received: path='none.keras'"),
    ({"options": {"alpha": 1}}, "`options` must be empty for a .keras file"),
    ({"input_shape": (16, 16, 1)}, "the 3 channels that .* reads. Received: .*16, 16, 1"),
    ({"input_shape": (1, 1, 3), "name": "plain"}, "cannot be for images .1, 1, 3.: .*negative"),
    ({"where": ("conv9",)}, "`where` must name layers of the model. Received: 'conv9'"),
    ({"where": "existing_se", "recalibration": "srm"}, "it finds none"),
    ({"recalibration": ["srm", "se"]}, "an entry for each of the 1 places"),
    ({"name": "siamese"}, "one output that reads images, .* 2|Received: .*inputs of the shapes"),
    ({"name": "sigmoid"}, "must end in a softmax or in logits .*'sigmoid'"),
]


@pytest.mark.parametrize(("arguments", "message"), REFUSED, ids=[m[:30] for _, m in REFUSED])
def test_refusals_are_one_line(arguments, message, transfer, tmp_path):
    files = {"plain": plain_model, "siamese": siamese_model, "sigmoid": sigmoid_model}
    given = {"name": transfer, "input_shape": (16, 16, 3), "classes": 3, **arguments}
    if given["name"] in files:
        given["name"] = saved(files[given["name"]](), tmp_path)
    with pytest.raises(ValueError, match=message) as error:
        adapted(**given)
    assert "\n" not in str(error.value)


def sigmoid_model():
    x = image = keras.Input((16, 16, 3))
    x = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(2, 1)(x))
    return keras.Model(image, keras.layers.Dense(3, "sigmoid")(x), name="sigmoid")
