"""The gates of a network while it is trained and in its run folder."""

import contextlib
import dataclasses
import os
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path

import keras
import numpy as np

from srm_keras.analysis.gates.histograms import (
    BINS,
    RunningHistograms,
    gate_histograms,
    plot_gate_histograms,
    plot_gate_training,
)
from srm_keras.analysis.gates.reading import NetworkGates, check_finite_images
from srm_keras.layers import Recalibration
from srm_keras.support.figures import drawing
from srm_keras.support.files import read_csv, write_csv
from srm_keras.support.validation import positive_int
from srm_keras.training import run_folder
from srm_keras.training.callbacks import HistogramLog
from srm_keras.training.inputs import Inputs

_BATCH = 64
_COLUMNS = [f"{index / BINS:.2f}" for index in range(BINS)]

Counts = Mapping[str, np.ndarray]


class GateHistograms(keras.callbacks.Callback):
    """Rewrites a picture of how the gates are distributed, over the whole training so far.

    Works with any ``model.fit``. In ``folder``:

    - ``gates_over_training.png``: a band a block, time from left to right;
    - ``gates_over_training.csv``: for every epoch and layer the number of gates in each of 50 equal
      intervals of [0, 1], under the lower end of the interval;
    - ``events/gates``: the same for TensorBoard, to a fiftieth, where TensorFlow is the backend.

    A ``fit`` that goes on in the same folder with ``initial_epoch`` keeps the epochs before it.

    Args:
        images: (N, H, W, C), as the network reads them: the same for the whole training.
        folder: Where the files go.
        every: Epochs between two histograms.
        steps_per_epoch: Updates in an epoch; with it, time is counted in updates.
        evaluated: A context in which the model has the weights that are to be looked at.

    Raises:
        ValueError: If an argument is wrong; when training begins, if the model has no gates or
            goes on in a folder with the gates of another network.

    Example:
        >>> follower = srm_keras.training.GateHistograms(x_test[:64], "runs/gates")
        >>> model.fit(x_train, y_train, epochs=10, callbacks=[follower])
    """

    def __init__(
        self,
        images: np.ndarray,
        folder: str | os.PathLike,
        every: int = 1,
        steps_per_epoch: int | None = None,
        evaluated: Callable[[], AbstractContextManager] = contextlib.nullcontext,
    ):
        super().__init__()
        self.images = _checked(images)
        self.folder = Path(folder)
        self.every = positive_int("every", every)
        self.unit = "epoch" if steps_per_epoch is None else "step"
        updates = 1 if steps_per_epoch is None else steps_per_epoch
        self.steps_per_epoch = positive_int("steps_per_epoch", updates)
        self.evaluated = evaluated
        self._network: NetworkGates
        self._events: HistogramLog
        self._counts: dict[int, Counts] = {}
        self._begun = False

    def on_train_begin(self, logs=None):
        """Refuses a network without gates."""
        self._network = NetworkGates(self.model)
        self._begun = False

    def on_epoch_begin(self, epoch, logs=None):
        """Once: reads the epochs before this one."""
        if self._begun:
            return
        self._begun = True
        self._counts = self._read(epoch) if epoch else {}
        self._events = HistogramLog(self.folder / run_folder.EVENTS / "gates")
        for done, counts in self._counts.items():
            self._events.add(done * self.steps_per_epoch, counts)

    def on_epoch_end(self, epoch, logs=None):
        """Adds a histogram and writes the files; an error costs them, not the training."""
        if (epoch + 1) % self.every:
            return
        with drawing(run_folder.GATES_OVER_TRAINING):
            counts = self._count()
            self._counts[epoch + 1] = counts
            self._write()
            self._draw()
            self._events.add((epoch + 1) * self.steps_per_epoch, counts)

    def _count(self) -> Counts:
        _ = self.model  # asking for it makes Keras write JAX's state back to the variables
        histograms = RunningHistograms()
        with self.evaluated():
            for start in range(0, len(self.images), _BATCH):
                histograms.add(self._network.read(self.images[start : start + _BATCH]))
        return histograms.counts()

    def _write(self) -> None:
        rows = [
            {"epoch": epoch, "layer": layer, **dict(zip(_COLUMNS, count.tolist(), strict=True))}
            for epoch, counts in self._counts.items()
            for layer, count in counts.items()
        ]
        write_csv(self.folder / run_folder.GATES_TABLE, rows)

    def _draw(self) -> None:
        taken = list(self._counts.values())
        shares = {
            layer: np.array([counts[layer] / counts[layer].sum() for counts in taken])
            for layer in self._network.layers
        }
        plot_gate_training(
            [epoch * self.steps_per_epoch for epoch in self._counts],
            shares,
            self.folder / run_folder.GATES_OVER_TRAINING,
            f"Gates of {len(self.images)} images, share of each block's gates",
            self.unit,
        )

    def _read(self, epochs: int) -> dict[int, Counts]:
        """The first epochs of the table; none if there is no table."""
        path = self.folder / run_folder.GATES_TABLE
        if not path.is_file():
            return {}
        found: dict[int, dict[str, np.ndarray]] = {}
        try:
            for row in read_csv(path):
                counts = np.array([row[column] for column in _COLUMNS], "int64")
                found.setdefault(int(row["epoch"]), {})[row["layer"]] = counts
        except (KeyError, TypeError, ValueError):
            raise ValueError(f"`folder` holds a damaged {path.name}. Received: {path}") from None
        if any(list(counts) != self._network.layers for counts in found.values()):
            raise ValueError(
                f"`folder` must not hold the {path.name} of another network. Received: {path}"
            )
        return {epoch: counts for epoch, counts in found.items() if epoch <= epochs}


def _checked(images: np.ndarray) -> np.ndarray:
    images = keras.ops.convert_to_numpy(images)
    if images.ndim != 4 or not len(images):
        raise ValueError(
            f"`images` must be a batch of images, (N, H, W, C). Received: shape {images.shape}"
        )
    check_finite_images("images", images)
    return images


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
    """Draws the gates of the last weights as ``gates.png``; nothing for a network without gates."""
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
