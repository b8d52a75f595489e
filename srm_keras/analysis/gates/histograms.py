"""How the gates of every block are distributed over [0, 1]."""

from collections.abc import Iterable

import keras
import numpy as np

from srm_keras.analysis.gates.reading import gate_model, recalibration_layers

BINS = 50


class GateHistogramReader:
    """Counts the gates of one network, as often as it is asked to.

    It is compiled once, so that it can follow a network that is being trained.

    Args:
        model: a functional model that contains ``Recalibration`` layers; its weights are shared.

    Attributes:
        layers: names of the recalibration layers, in network order.

    Raises:
        ValueError: the model is not functional, or has no recalibration layer.
    """

    def __init__(self, model: keras.Model):
        self.layers = [layer.name for layer in recalibration_layers(model)]
        self._gates = gate_model(model)

    def counts(self, batches: Iterable[np.ndarray]) -> dict[str, np.ndarray]:
        """Return for each block, ``{layer name: (BINS,) int64}``, its gates by interval.

        Args:
            batches: prepared images, (N, H, W, 3) each, as the model takes them; N may vary.

        Raises:
            ValueError: there is no batch.
        """
        counts = {name: np.zeros(BINS, "int64") for name in self.layers}
        for batch in batches:
            gates = self._gates.predict_on_batch(batch)
            for name in self.layers:
                counts[name] += _counts(gates[name])
        if not any(count.any() for count in counts.values()):
            raise ValueError("`batches` must hold at least one batch of images. Received: none")
        return counts


def gate_histograms(model: keras.Model, batches: Iterable[np.ndarray]) -> dict[str, np.ndarray]:
    """Return for each block the shares of its gates in equal intervals of [0, 1].

    All gates count: of every image and channel and, where they differ from pixel to pixel, of
    every place.

    Args:
        model: a functional model that contains ``Recalibration`` layers.
        batches: prepared images, (N, H, W, 3) each, as the model takes them; N may vary.

    Returns:
        ``{layer name: (BINS,) float64}``, in network order; each sums to 1. An interval holds its
        lower end, the last one both.

    Raises:
        ValueError: the model is not functional, has no recalibration layer, or there is no batch.
    """
    counts = GateHistogramReader(model).counts(batches)
    return {name: count / count.sum() for name, count in counts.items()}


def _counts(gates: np.ndarray) -> np.ndarray:
    values = np.clip(np.asarray(gates, "float32"), 0.0, 1.0)
    return np.histogram(values, BINS, (0.0, 1.0))[0]
