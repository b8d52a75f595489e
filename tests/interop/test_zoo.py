"""The trained networks that come with the package: whole, small, and as good as their cards say."""

import functools
import math
from pathlib import Path

import numpy as np
import pytest

from srm_keras.data import load_examples
from srm_keras.export.web.browser import run_in_browser
from srm_keras.export.web.exporter import WebRunner
from srm_keras.interop import load_preset
from srm_keras.interop.trained import ZOO
from srm_keras.layers import list_recalibrations
from srm_keras.models import build
from srm_keras.support.files import read_json
from tests.export.web.conftest import browser  # noqa: F401
from tests.support.command_lines import command
from tools.studies import zoo

FILES = sorted(path.stem for path in ZOO.glob("*.zip"))
MODULES = [zoo.PLAIN, *list_recalibrations()]


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


@pytest.mark.slow
@pytest.mark.parametrize("name", FILES)
def test_it_predicts_and_is_exported_to_every_format(name, tmp_path, browser):  # noqa: F811
    done = command("export", f"--model={name}", f"--out={tmp_path}", "--samples=64")
    assert done.returncode == 0, done.stderr
    reports = read_json(tmp_path / "report.json")
    assert len(reports) >= 9
    shape = load_preset(ZOO / f"{name}.zip").model.input_shape[1:]
    samples = np.random.default_rng(0).normal(size=(1, *shape)).astype("float32")
    outputs = run_in_browser(tmp_path / "web" / "model.tflite", samples)
    expected = WebRunner(tmp_path / "web").outputs(samples)
    by_shape = {output.shape: output for output in outputs}
    for values in expected.values():
        np.testing.assert_allclose(by_shape[values.shape], values, rtol=0, atol=1e-5)
