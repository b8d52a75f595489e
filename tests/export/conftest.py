"""Networks exported once for all tests: converting takes seconds."""

import dataclasses
from pathlib import Path

import keras
import numpy as np
import pytest

from srm_keras.export import ExportReport, to_saved_model, to_tflite
from srm_keras.layers import SRM, neutral
from srm_keras.models import CifarResNet
from tests.support.weights import feature_map, randomize


@dataclasses.dataclass(frozen=True)
class Exported:
    """A network with random weights and statistics, and its two files in one folder."""

    model: keras.Model
    samples: np.ndarray
    saved_model: Path
    tflite: Path
    saved_model_report: ExportReport
    tflite_report: ExportReport


@pytest.fixture(scope="session")
def export_once(tmp_path_factory):
    """``export_once(module)``: a network of depth 8 with that module, in both formats."""
    done: dict[str | None, Exported] = {}

    def export(module: str | None) -> Exported:
        if module not in done:
            done[module] = _export(module, tmp_path_factory.mktemp(str(module)))
        return done[module]

    return export


def _export(module: str | None, folder: Path) -> Exported:
    spec = neutral(module)  # Weights are random all the same; what is left is the gain.
    model = CifarResNet(8, block="basic", recalibration=spec, input_shape=(16, 16, 3))
    randomize(model, seed=1)
    samples = feature_map((5, 16, 16, 3), seed=2)
    saved_model, tflite = folder / "saved_model", folder / "model.tflite"
    return Exported(
        model,
        samples,
        saved_model,
        tflite,
        to_saved_model(model, saved_model, samples),
        to_tflite(model, tflite, samples),
    )


def small_network():
    """Convolution, batch norm, SRM and a classifier, with random weights and statistics."""
    inputs = keras.Input((8, 8, 3), name="image")
    x = keras.layers.Conv2D(16, 3, use_bias=False, name="conv")(inputs)
    x = keras.layers.BatchNormalization(name="bn")(x)
    x = keras.layers.ReLU(name="relu")(SRM(name="recalibration")(x))
    x = keras.layers.GlobalAveragePooling2D(name="pool")(x)
    predictions = keras.layers.Dense(7, activation="softmax", dtype="float32", name="out")(x)
    model = keras.Model(inputs, predictions)
    randomize(model, seed=3)
    return model


@pytest.fixture
def small_model():
    """A network of its own for each test."""
    return small_network()


@pytest.fixture(scope="session")
def untouched_model():
    """One network for all that is refused."""
    return small_network()
