"""Files that version 0.1.0 wrote before the package was laid out anew go on working.

`tests/earlier` holds a run folder (without pictures and checkpoints), a preset of it and two
exports, written at commit d4b51741, and what the network computed then for four images.
"""

from pathlib import Path

import keras
import numpy as np
import pytest

from srm_keras.export import load_predictor
from srm_keras.interop.presets import load_preset
from srm_keras.training import compare_runs, load_run

EARLIER = Path(__file__).parent / "earlier"


@pytest.fixture(scope="module")
def expected():
    with np.load(EARLIER / "expected.npz") as file:
        return file["images"], file["outputs"]


def assert_same_outputs(actual, expected):
    np.testing.assert_allclose(keras.ops.convert_to_numpy(actual), expected, atol=1e-6)


def test_a_run_folder_loads(expected):
    images, outputs = expected
    run = load_run(EARLIER / "run")
    assert_same_outputs(run.model(images), outputs)
    assert run.recipe.recalibration == "srm"
    assert run.classes[0] == "disc"
    assert run.preprocessing.image_size == 16


def test_a_preset_loads(expected):
    images, outputs = expected
    preset = load_preset(EARLIER / "preset")
    assert_same_outputs(preset.model(images), outputs)
    assert preset.classes == load_run(EARLIER / "run").classes


@pytest.mark.parametrize("file", ["saved_model", "model.tflite"])
def test_an_export_predicts(file, expected):
    images, outputs = expected
    predictor = load_predictor(EARLIER / "export" / file)
    assert_same_outputs(predictor.runner(images), outputs)
    assert predictor.classes[0] == "disc"


def test_runs_are_compared(tmp_path):
    compare_runs([EARLIER / "run"], tmp_path)
    assert (tmp_path / "compare.csv").read_text().count("srm")
