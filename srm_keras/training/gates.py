"""What a run folder says of the gates of its network."""

import dataclasses
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import keras
import numpy as np

from srm_keras.analysis.gates.histogram_plots import plot_gate_histograms
from srm_keras.analysis.gates.histograms import gate_histograms
from srm_keras.figures import drawing
from srm_keras.layers import Recalibration
from srm_keras.training import run_folder
from srm_keras.training.gate_histograms import GateHistograms
from srm_keras.training.inputs import Inputs

IMAGES = 64


def gate_histograms_of(
    model: keras.Model,
    inputs: Inputs,
    folder: Path,
    evaluated: Callable[[], AbstractContextManager],
) -> list[GateHistograms]:
    """The callback that follows the gates of a run; none for a network without gates."""
    if not _has_gates(model):
        return []
    steps = inputs.recipe.eval_every
    return [GateHistograms(gate_images(inputs), folder, 1, steps, evaluated)]


def draw_last_gates(folder: Path, inputs: Inputs) -> None:
    """Draws the gates of the last weights as `gates.png`; nothing for a network without gates."""
    model = keras.saving.load_model(folder / run_folder.LAST)
    if not _has_gates(model):
        return
    with drawing(run_folder.GATES):
        images = gate_images(inputs)
        title = f"Gates of {len(images)} images, share of each block's gates"
        histograms = {model.name: gate_histograms(model, [images])}
        plot_gate_histograms(histograms, folder / run_folder.GATES, title)


def gate_images(inputs: Inputs) -> np.ndarray:
    """At most 64 images from all over the validation split, prepared for evaluation.

    Sources list their images class by class: the first ones would be of one class.
    """
    split = inputs.validation
    examples = inputs.evals[split]
    count = min(IMAGES, len(examples))
    chosen = examples.subset([k * len(examples) // count for k in range(count)])
    batches = dataclasses.replace(inputs, evals={split: chosen}).evaluation(split)
    return np.concatenate([keras.ops.convert_to_numpy(images) for images, _ in batches])


def _has_gates(model: keras.Model) -> bool:
    return any(isinstance(layer, Recalibration) for layer in model.layers)
