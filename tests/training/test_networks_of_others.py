"""Runs of networks that are not of this package: by the name of a file or of keras.applications."""

from unittest import mock

import keras
import numpy as np
import pytest

from srm_keras.data.sources.imagenet import CLASS_NAMES
from srm_keras.interop import keras_applications, read_trained
from srm_keras.layers import SRM
from srm_keras.models.applications import application_classifier, application_standardization
from srm_keras.support.files import read_json
from srm_keras.training import load_run, resolve, train
from srm_keras.training.build import build_model, make_optimizer
from srm_keras.training.cross_validation import cross_validate
from srm_keras.training.fine_tuning import Beginning
from tests.support.command_lines import command
from tests.support.foreign_models import transfer_model
from tests.support.tiny_training import assert_same_run, tiny_recipe, train_tiny, weights
from tests.support.weights import randomize

NEW = ["bn2_recalibration", "logits"]


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """A network for three classes with an inner model, its weights random."""
    path = tmp_path_factory.mktemp("file") / "transfer.keras"
    model = transfer_model()
    randomize(model)
    model.save(path)
    return path


def recipe(file, **fields):
    """An SRM in the residual block; what is before it begins from the file and stays."""
    given = {
        "model.name": str(file),
        "model.options": {},
        "init": str(file),
        "freeze": ("stem", "conv[12]"),
        "learning_rate.multipliers": {"stride2": 0.5},
        **fields,
    }
    return tiny_recipe(**given)


def train_file(file, workdir, die_after=None, **fields):
    return train_tiny(recipe(file, **fields), workdir, die_after, network=build_model)


@pytest.fixture(scope="module")
def run(file, tmp_path_factory):
    workdir = tmp_path_factory.mktemp("run")
    train_file(file, workdir)
    return workdir


def by_path(model):
    return {variable.path: variable.numpy() for variable in model.weights}


def test_a_run_begins_from_the_file_and_trains_what_is_new(file, run):
    before = by_path(keras.saving.load_model(file).get_layer("inner"))
    after = by_path(load_run(run, "last").model)
    for path, value in before.items():  # Frozen: moving statistics too.
        changed = path.startswith("bn")
        assert np.array_equal(value, after[path]) is not changed, path
    record = read_json(run / "initial_weights.json")
    assert (record["new"], record["unused"]) == (NEW, ["logits"])
    assert record["frozen"] == ["stem", "conv1", "conv2"]
    result = read_json(run / "result.json")
    trained = [value.size for path, value in after.items() if path.startswith(("bn", *NEW))]
    moving = [value.size for path, value in after.items() if "moving" in path]
    assert result["parameters"]["trainable"] == sum(trained) - sum(moving)


def begun(made, shape, classes, folder):
    """The recipe's network with its initial weights, and what was new."""
    beginning = Beginning(made, folder, False)
    model = build_model(made, shape, len(classes), beginning.blueprint)
    beginning.apply(model, classes)
    return model, beginning.record["new"]


def assert_equal_outputs(model, source, shape):
    images = np.random.default_rng(0).normal(size=(2, *shape)).astype("float32")
    np.testing.assert_allclose(model(images), source(images), rtol=1e-5, atol=1e-7)


def test_new_modules_start_neutral_where_weights_are_trained(file, tmp_path):
    """Also where the recipe does not say so; a recipe that says what gain they have is obeyed."""
    made = recipe(file, **{"freeze": None, "recalibration": "cbam"})
    model, new = begun(made, (16, 16, 3), ("a", "b", "c"), tmp_path)
    assert new == ["bn2_recalibration"]
    assert_equal_outputs(model, keras.saving.load_model(file), (16, 16, 3))
    made.recalibration = {"name": "srm", "gain": 1.0}
    model, _ = begun(made, (16, 16, 3), ("a", "b", "c"), tmp_path)
    assert model.get_layer("bn2_recalibration").gain == 1.0


@pytest.mark.slow
def test_imagenet_weights_of_an_application(tmp_path, monkeypatch):
    """As if they were in Keras' cache; the options of the recipe decide which they are."""
    options = {"alpha": 0.75, "minimalistic": True}
    theirs = keras.applications.MobileNetV3Small(weights=None, **options)
    randomize(theirs)
    theirs.save_weights(tmp_path / "cached.weights.h5")

    def cached(name, options, weights):
        assert weights == "imagenet"
        file = str(tmp_path / "cached.weights.h5")
        return application_classifier(name, options=options, weights=file)

    monkeypatch.setattr(keras_applications, "application_classifier", cached)
    source = cached("MobileNetV3Small", options, "imagenet")
    fields = {"model.name": "mobilenet_v3_small", "model.options": options, "init": "imagenet"}
    made = resolve(recipe(None, **fields, freeze=None))
    shape = (224, 224, 3)
    model, new = begun(made, shape, CLASS_NAMES, tmp_path / "run")
    assert new == [layer.name for layer in model.layers if isinstance(layer, SRM)]
    assert_equal_outputs(model, source, shape)
    model, new = begun(made, (32, 32, 3), ("a", "b"), tmp_path / "run")
    assert new[-1] == "logits"
    found = read_trained("MobileNetV3Small.imagenet", options=options)
    assert found.preprocessing.mean == (0.5,)


def test_imagenet_weights_that_cannot_be_had_are_one_line(tmp_path, monkeypatch):
    failing = mock.Mock(side_effect=Exception("URL fetch failure\nmore"))
    monkeypatch.setattr(keras_applications, "application_classifier", failing)
    made = recipe(None, **{"model.name": "MobileNetV2", "init": "imagenet"})
    message = r"`weights` 'imagenet' of 'MobileNetV2' cannot be had: .*\(URL fetch failure\)"
    with pytest.raises(ValueError, match=message) as error:
        Beginning(made, tmp_path, False)
    assert "\n" not in str(error.value)
    made.data.preprocessing.mean = (0.485, 0.456, 0.406)
    with pytest.raises(ValueError, match=r"preprocessing.mean` must be left out or \(0.5,\), with"):
        resolve(made)
    made.data.preprocessing.mean = (0.5,)
    resolve(made)


def test_l2_and_rates_are_as_for_our_networks(file):
    made = recipe(file)
    model = build_model(made, (16, 16, 3), 10)
    optimizer = make_optimizer(made, model, 0.1)
    srm = next(layer for layer in model.layers if isinstance(layer, SRM))
    exempt = [*srm.encoder.trainable_variables, *srm.bn.trainable_variables]
    assert sorted(optimizer.l2_exclude) == sorted(variable.path for variable in exempt)
    backbone = [v.path for v in model.trainable_variables if not v.path.startswith("logits")]
    assert optimizer.rate_factors == dict.fromkeys(backbone, 0.5)


@pytest.mark.slow
def test_a_run_that_dies_goes_on_bit_identical(file, run, tmp_path):
    """And not with another architecture in the file."""
    content = file.read_bytes()
    train_file(file, tmp_path / "run", die_after=5)
    transfer_model(dropout=0.3).save(file)
    with pytest.raises(ValueError, match="another run: its network differ"):
        train_file(file, tmp_path / "run")
    file.write_bytes(content)
    train_file(file, tmp_path / "run")
    assert_same_run(run, tmp_path / "run")


def test_standardization_is_the_networks_where_none_is_given():
    given = {"model": {"name": "EfficientNetB0"}, "data": {"preprocessing": {"image_size": 32}}}
    resolved = resolve(given)
    mean, std = application_standardization("EfficientNetB0")
    assert resolved.data.preprocessing.mean == mean == (0.485, 0.456, 0.406)
    assert resolved.data.preprocessing.std == std
    assert resolve(resolved).to_dict() == resolved.to_dict()
    grey = {"image_size": 32, "channels": 1, "std": 1.0}
    made = resolve({**given, "data": {"preprocessing": grey}}).data.preprocessing
    assert (len(made.mean), made.std) == (1, 1.0)
    ours = resolve({"data": {"preprocessing": {"image_size": 32}}})
    assert "mean" not in ours.data.preprocessing


REFUSED = [
    ({"model.name": "MobileNetV9"}, r"`name` must be one of `srm-keras models`, .*'MobileNetV2'\?"),
    (
        {"model.name": "cifar_resnet", "model.where": "existing_se"},
        "`model.where` must be None for",
    ),
    ({"model.where": "block_end"}, "`model.where` must be None, one of"),
    ({"model.where": ("bn9",)}, "In `model`: `where` must name layers"),
    ({"model.options": {"depth": 8}}, "In `model`: `options` must be empty for a .keras file"),
    ({"model.name": "InceptionV3"}, "In `model`: 'InceptionV3': Input size must be at least"),
    ({"model.name": "no/such.keras"}, "In `model`: `path` must be a .keras file that exists"),
    ({"freeze": ("stem_*",)}, "`freeze` must name parts of the network, which are backbone, strid"),
    ({"recalibration": "smr"}, "In `model`: `recalibration` must be one of"),
]


@pytest.mark.parametrize(("fields", "message"), REFUSED, ids=[m[:24] for _, m in REFUSED])
def test_wrong_fields_fail_before_anything_is_written(fields, message, file, tmp_path):
    with pytest.raises(ValueError, match=message) as error:
        train(recipe(file, **fields), tmp_path / "run")
    assert "\n" not in str(error.value)
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_two_replicas_with_synchronized_batch_norm_train_as_one_device(tmp_path):
    """The batch norms of Keras in the file, which say `synchronized=False` there."""
    file = tmp_path / "net.keras"
    transfer_model(dropout=0.0).save(file)  # Replicas draw their own.
    fields = {"steps": 2, "eval_every": 2, "optimizer.ema_decay": 0.0, "freeze": None}
    found = {}
    for name, given in (
        ("one", {}),
        ("two", {"strategy": "mirrored"}),
        ("local", {"strategy": "mirrored", "synchronized_batch_norm": False}),
    ):
        train_file(file, tmp_path / name, **fields, **given)
        found[name] = weights(tmp_path / name / "last.keras")
    far = {
        name: max(np.abs(found[name][key] - value).max() for key, value in found["one"].items())
        for name in ("two", "local")
    }
    assert far["two"] < 1e-4
    assert far["local"] > 10 * far["two"]


@pytest.mark.slow
def test_modules_are_compared_where_people_use_them(file, tmp_path):
    made = recipe(file, **{"steps": 2, "eval_every": 2, "data.fold_by": "group"})
    rows = cross_validate(made, tmp_path, {"none": None, "se": "se", "srm": "srm"}, folds=2)
    assert [row["recalibration"] for row in rows] == ["none", "se", "srm"]
    counts = [row["trainable_parameters"] for row in rows]
    assert counts[2] - counts[0] == 4 * 4  # Two weights a channel, and two of its batch norm.
    assert len({row["examples"] for row in rows}) == 1


@pytest.mark.slow
def test_commands_take_a_run_of_an_application(tmp_path):
    """In float16, with modules in the place of squeeze-and-excitation."""
    fields = {"model.name": "MobileNetV3Small", "model.where": "existing_se", "model.options": {}}
    fields |= {"data.preprocessing": {"image_size": 32}, "dtype_policy": "mixed_float16"}
    fields |= {"steps": 2, "eval_every": 2, "init": None, "freeze": None}
    for module in ("srm", "se"):
        train(recipe(None, recalibration=module, **fields), tmp_path / module)
    run = load_run(tmp_path / "srm")
    assert run.preprocessing.mean == (0.5,)
    assert run.model.get_layer("conv").compute_dtype == "float16"
    assert run.model.layers[-1].compute_dtype == "float32"
    photo = np.random.default_rng(0).integers(0, 256, (40, 40, 3)).astype("uint8")
    keras.utils.save_img(tmp_path / "photo.png", photo)
    model = f"--model={tmp_path / 'srm'}"
    for line in (
        ("preset", model, f"--out={tmp_path / 'preset'}"),
        ("predict", f"--model={tmp_path / 'preset'}", tmp_path / "photo.png"),
        ("export", model, "--formats=float32,saved_model", f"--out={tmp_path / 'export'}"),
        ("gates", model.replace("model", "models", 1), f"--out={tmp_path / 'gates'}"),
        ("compare", tmp_path / "srm", tmp_path / "se", f"--out={tmp_path / 'compare'}"),
    ):
        done = command(*line)
        assert done.returncode == 0, (line, done.stderr)
