"""The trained networks that come with the package: whole, small, and as good as their cards say."""

import functools
import importlib.util
import math
from pathlib import Path

import numpy as np
import pytest

from srm_keras.data import load_examples
from srm_keras.export import load_predictor
from srm_keras.export.report import read_reports
from srm_keras.export.web.browser import run_in_browser
from srm_keras.export.web.exporter import WebRunner
from srm_keras.interop import load_preset
from srm_keras.interop.trained import ZOO
from srm_keras.layers import list_recalibrations
from srm_keras.models import build
from tests.export.web.conftest import browser  # noqa: F401
from tests.support.command_lines import command
from tools.studies import zoo

FILES = sorted(path.stem for path in ZOO.glob("*.zip"))
MODULES = [zoo.PLAIN, *list_recalibrations()]

EXACT = ("saved_model", "model.tflite", "model.onnx")
INTEGERS = ("int8", "int8_io", "int16x8")
SMALLER = [f"model_{form}.tflite" for form in ("float16", "dynamic", *INTEGERS)]
ALWAYS = ["saved_model", "model.tflite", *SMALLER, "web"]


@functools.cache
def drawn():
    return load_examples("texture_shapes", "test", label="shape", test_examples=2000)


def test_there_is_one_with_each_module_and_without():
    assert [f for f in FILES if f.endswith(".texture_shapes")] == sorted(
        zoo.name_of("texture_shapes", module) for module in MODULES
    )
    assert sum(path.stat().st_size for path in ZOO.glob("*.zip")) < 4e6


@pytest.mark.parametrize("name", FILES)
def test_its_card_is_of_the_network_that_its_name_builds(name):
    network, _, weights = name.partition(".")
    preset = load_preset(ZOO / f"{name}.zip")
    shape = preset.model.input_shape[1:]
    model = build(network, weights=weights, classes=10, input_shape=shape)
    for one, other in zip(model.get_weights(), preset.model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    card = preset.card
    assert card["network"]["trainable_parameters"] == sum(
        math.prod(weight.shape) for weight in model.trainable_weights
    )
    assert card["recipe"]["seed"] == 0
    assert all(set(scores) >= {"accuracy", "top5_accuracy"} for scores in card["metrics"].values())


def test_a_new_run_of_the_study_would_write_the_same_card():
    """But for what the preset adds of the file: shapes, parameters and versions."""
    preset = load_preset(ZOO / "se_cifar_resnet8_basic.texture_shapes.zip")
    card = {k: v for k, v in preset.card.items() if k not in ("network", "versions")}
    recipe, classes = {**card["recipe"], "data": card["data"]}, {"disc": {"accuracy": 1.0}}
    scores = {split: {**one, "classes": classes} for split, one in card["metrics"].items()}
    assert zoo.card_of("texture_shapes", "se", preset.model, recipe, scores) == card


def test_the_page_says_what_the_cards_say():
    assert Path("docs/zoo.md").read_text() == zoo.page(ZOO)


def check_accuracy(name):
    preset, examples = load_preset(ZOO / f"{name}.zip"), drawn()
    prepared = preset.preprocessing.evaluation(np.asarray(examples.images))
    right = preset.model.predict(prepared, verbose=0).argmax(axis=-1) == examples.labels
    stated = preset.card["metrics"]["test"]["accuracy"]
    assert abs(right.sum() - stated * len(right)) <= 2  # ties of rounding on other machines


def test_its_accuracy_is_what_its_card_says():
    check_accuracy("srm_cifar_resnet8_basic.texture_shapes")


@pytest.mark.slow
@pytest.mark.parametrize("module", MODULES)
def test_every_accuracy_is_what_its_card_says(module):
    check_accuracy(zoo.name_of("texture_shapes", module))


def test_rounding_is_that_of_float16():
    numbers = np.random.default_rng(0).normal(size=1000).astype("float32")
    np.testing.assert_array_equal(zoo.rounded(numbers), numbers.astype("float16"))
    huge = np.array([1e30, -3e-30, 0.0], "float32")
    np.testing.assert_allclose(zoo.rounded(huge), huge, rtol=2.0**-11)


@pytest.fixture(scope="module", params=FILES)
def exported(request, tmp_path_factory):
    """The name of a network, and what ``export`` makes of it: every format."""
    folder = tmp_path_factory.mktemp("exported")
    done = command("export", f"--model={request.param}", f"--out={folder}", "--samples=64")
    if request.param.startswith("cbam"):
        # Its one hidden unit is dead for the mean: eight bits, and they alone, are refused.
        assert done.returncode == 1
        assert done.stderr.count("LiteRT cannot run it in integers") == 2
    else:
        assert done.returncode == 0, done.stderr
    return request.param, folder


@pytest.mark.slow
def test_it_is_exported_to_every_format_and_each_predicts(exported):
    name, folder = exported
    files = [one["file"] for one in read_reports(folder)]
    modules = [] if name.startswith("cifar") else ["model_int8_float_modules.tflite"]
    onnx = ["model.onnx"] if importlib.util.find_spec("tf2onnx") else []
    expected = {*ALWAYS, *modules, *onnx}
    if name.startswith("cbam"):
        expected -= {"model_int8.tflite", "model_int8_io.tflite"}
        files, expected = ([f for f in x if "int16" not in f] for x in (files, expected))
    assert sorted(files) == sorted(expected)
    shape = load_preset(ZOO / f"{name}.zip").model.input_shape[1:]
    images = list(np.asarray(drawn().images[:32, : shape[0], : shape[1], : shape[2]]))
    reference = load_predictor(name).scores(images)
    for file in set(files) - {"web"}:
        scores = load_predictor(folder / file).scores(images)
        agreement = (scores.argmax(axis=-1) == reference.argmax(axis=-1)).mean()
        assert agreement == 1 if file in EXACT else agreement > 0.8, (file, agreement)


@pytest.mark.slow
def test_the_web_page_opens_it(exported, browser):  # noqa: F811
    name, folder = exported
    shape = load_preset(ZOO / f"{name}.zip").model.input_shape[1:]
    samples = np.random.default_rng(0).normal(size=(1, *shape)).astype("float32")
    outputs = run_in_browser(folder / "web" / "model.tflite", samples)
    expected = WebRunner(folder / "web").outputs(samples)
    by_shape = {output.shape: output for output in outputs}
    for values in expected.values():
        np.testing.assert_allclose(by_shape[values.shape], values, rtol=0, atol=1e-5)
