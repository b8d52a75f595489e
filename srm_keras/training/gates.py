"""A picture of what the gates of a trained network do."""

import os
from collections.abc import Mapping

import keras
import numpy as np
from matplotlib.figure import Figure

from srm_keras.analysis.gates import gate_model
from srm_keras.figures import save_figure
from srm_keras.layers import Recalibration

BINS = 50


def plot_gates(model: keras.Model, images: np.ndarray, path: str | os.PathLike) -> bool:
    """Draws the histogram of every block's gates as a PNG.

    A row is a block, a column an interval of the gate's value, the darkness its share of the
    block's gates over all images and channels.

    Args:
        model: The network.
        images: (N, H, W, C), as the network reads them.
        path: Of the PNG.

    Returns:
        Whether there was anything to draw; a network without recalibration has no gates.
    """
    if not any(isinstance(layer, Recalibration) for layer in model.layers):
        return False
    gates = gate_model(model)(images, training=False)
    counts = gate_histograms(
        {name: keras.ops.convert_to_numpy(values) for name, values in gates.items()}
    )
    figure = Figure(figsize=(9, 1.6 + 0.22 * len(counts)), dpi=120, layout="constrained")
    axes = figure.subplots()
    shares = np.array(list(counts.values()))
    picture = axes.imshow(shares, aspect="auto", cmap="Blues", extent=(0, 1, len(counts), 0))
    axes.set_yticks(np.arange(len(counts)) + 0.5, list(counts), fontsize=8)
    axes.set(xlabel="gate", title=f"Gates of {len(images)} images, share of each block's gates")
    figure.colorbar(picture, ax=axes, fraction=0.03, pad=0.02)
    save_figure(figure, path)
    return True


def gate_histograms(gates: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """For each block, the (BINS,) shares of its gates in equal intervals of [0, 1]."""
    return {
        name: np.histogram(values, BINS, (0.0, 1.0))[0] / values.size
        for name, values in gates.items()
    }
