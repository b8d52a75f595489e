"""What the run folder of a training says of the gates of its network."""

import keras
import numpy as np
import pytest
from PIL import Image

from srm_keras.analysis.gates.histograms import BINS, gate_histograms
from srm_keras.support.files import read_csv
from srm_keras.training.gates import draw_last_gates, gate_histograms_of, gate_images
from srm_keras.training.inputs import load_inputs
from tests.support.tiny_training import EVAL_EVERY, STEPS, tiny_recipe, train_tiny


@pytest.fixture(scope="module")
def inputs():
    return load_inputs(
        tiny_recipe(data__options={"size": 16, "train_examples": 40, "test_examples": 90})
    )


def test_images_are_from_all_over_the_validation_split(inputs):
    found = gate_images(inputs)
    everything = np.concatenate([np.asarray(batch) for batch, _ in inputs.evaluation("test")])
    assert found.shape == (64, 16, 16, 3)
    np.testing.assert_array_equal(found, everything[[k * 90 // 64 for k in range(64)]])


def test_a_run_tells_of_the_gates_of_the_network_that_it_saves(tmp_path):
    """Which has averaged weights (`ema_decay`), not those that are trained."""
    recipe = tiny_recipe()
    train_tiny(recipe, tmp_path)
    rows = read_csv(tmp_path / "gates_over_training.csv")
    assert [(row["epoch"], row["layer"]) for row in rows] == [
        (str(epoch + 1), "recalibration") for epoch in range(STEPS // EVAL_EVERY)
    ]
    counts = np.array([int(rows[-1][f"{index / BINS:.2f}"]) for index in range(BINS)])
    assert counts.sum() == 24 * 8
    model = keras.saving.load_model(tmp_path / "last.keras")
    shares = gate_histograms(model, [gate_images(load_inputs(recipe))])["recalibration"]
    assert np.abs(counts / counts.sum() - shares).sum() <= 2.1 / counts.sum()
    Image.open(tmp_path / "gates.png").verify()


def test_a_network_without_gates_has_no_files(inputs, tmp_path):
    layers = [keras.Input((16, 16, 3)), keras.layers.Flatten(), keras.layers.Dense(10)]
    plain = keras.Sequential(layers)
    plain.save(tmp_path / "last.keras")
    assert gate_histograms_of(plain, inputs, tmp_path, None) == []
    draw_last_gates(tmp_path, inputs)
    assert [file.name for file in tmp_path.iterdir()] == ["last.keras"]
