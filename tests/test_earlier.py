"""Files that version 0.1.0 wrote before the package was laid out anew go on working.

`tests/earlier` holds a run folder (without pictures and checkpoints), a preset of it and two
exports, written at commit d4b51741, and what the network computed then for four images.
"""

from pathlib import Path

import keras
import numpy as np
import pytest

from srm_keras.cli.paper_records import trained_run
from srm_keras.export import load_predictor
from srm_keras.interop.presets import load_preset
from srm_keras.support.files import read_json
from srm_keras.training import compare_runs, load_run
from srm_keras.training.compare import comparison_text
from srm_keras.training.evaluation import mean_over_domains
from srm_keras.training.statistics import class_rows, domain_rows, read_answers

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
    """They know nothing of top-5 and of classes."""
    text = comparison_text(compare_runs([EARLIER / "run"], tmp_path))
    assert "top5" not in text.lower()
    assert (tmp_path / "compare.csv").read_text().count("srm")
    assert (tmp_path / "classes.csv").read_text() == "class,srm\n"


def test_runs_are_cross_validated_and_stand_in_the_papers_tables():
    """What they recorded is enough for accuracies by domain, by class and over domains."""
    run = trained_run(EARLIER / "run")
    assert run.top5 == {}
    answers = read_answers(EARLIER / "run", 0)
    assert answers.ranks is None
    domains = domain_rows({("srm", 0, 0): answers})
    assert {row["domain"]: row["srm"] for row in domains} == run.domains["test"]
    classes = class_rows({("srm", 0, 0): answers}, load_run(EARLIER / "run").classes)
    right = sum(row["srm"] * row["examples"] for row in classes if row["examples"])
    assert right / len(answers.labels) == pytest.approx(run.accuracies["test"])
    result = read_json(EARLIER / "run" / "result.json")["last"]["splits"]["test"]
    assert mean_over_domains(result) == pytest.approx(run.accuracy("test", "mean"))
