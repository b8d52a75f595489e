"""All about the gates of networks: read in one pass over images, written to a folder."""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from srm_keras.analysis.gates.correlation import (
    GateCorrelation,
    RunningCorrelation,
    plot_correlation_by_block,
    plot_correlation_matrices,
)
from srm_keras.analysis.gates.histograms import RunningHistograms, plot_gate_histograms
from srm_keras.analysis.gates.reading import NetworkGates, block_name
from srm_keras.analysis.gates.statistics import GateStatistics, RunningStatistics
from srm_keras.support.files import write_atomically, write_csv, write_json

HISTOGRAMS = "histograms.png"
MATRICES = "correlation.png"
BY_BLOCK = "correlation_by_block.png"
FILES = (
    *("statistics.csv", "statistics.json", "channels.csv", "histograms.csv", HISTOGRAMS),
    *("correlation.csv", "correlation.json", "correlation_matrices.npz", MATRICES, BY_BLOCK),
)

Row = dict[str, Any]


@dataclass(frozen=True)
class GateAnalysis:
    """What the gates of a network are like over a set of images.

    Attributes:
        statistics: of every block, by layer name; see ``gate_statistics``.
        histograms: likewise; see ``gate_histograms``.
        correlation: see ``gate_correlation``.
    """

    statistics: Mapping[str, GateStatistics]
    histograms: Mapping[str, np.ndarray]
    correlation: GateCorrelation


def analyse_gates(model: keras.Model, batches: Iterable[np.ndarray]) -> GateAnalysis:
    """Return the statistics, histograms and correlation of all gates, in one pass.

    Args:
        model: a functional model that contains ``Recalibration`` layers.
        batches: prepared images, (N, H, W, 3) each, as the model takes them; N may vary.

    Raises:
        ValueError: the model is not functional, has no recalibration layer, or there are fewer
            than two images.
    """
    network = NetworkGates(model)
    statistics, histograms = RunningStatistics(), RunningHistograms()
    correlation = RunningCorrelation()
    for batch in batches:
        gates = network.read(batch)
        histograms.add(gates)
        weights = network.by_channel(gates)
        statistics.add(weights)
        correlation.add(weights)
    return GateAnalysis(statistics.result(), histograms.shares(), correlation.result())


def write_gate_files(
    analyses: Mapping[str, GateAnalysis], blocks: Sequence[str], folder: str | os.PathLike
) -> None:
    """Write tables and pictures of several networks' gates, ``FILES``, into ``folder``.

    Args:
        analyses: what ``analyse_gates`` returned, by the network's label.
        blocks: those whose correlation matrices are drawn; all networks have them.
        folder: made if it does not exist.
    """
    out = Path(folder)
    rows = statistics_rows(analyses)
    write_csv(out / "statistics.csv", rows)
    write_json(out / "statistics.json", rows)
    write_csv(out / "channels.csv", _channel_rows(analyses))
    write_csv(out / "histograms.csv", _histogram_rows(analyses))
    histograms = {label: analysis.histograms for label, analysis in analyses.items()}
    title = "Gates by value, share of each block's gates"
    plot_gate_histograms(histograms, out / HISTOGRAMS, title)
    rows = correlation_rows(analyses)
    write_csv(out / "correlation.csv", rows)
    write_json(out / "correlation.json", rows)
    correlations = {label: analysis.correlation for label, analysis in analyses.items()}
    matrices: dict[str, Any] = {
        f"{label}/{block.block}": block.matrix.astype("float32")
        for label, correlation in correlations.items()
        for block in correlation.blocks.values()
    }
    write_atomically(
        out / "correlation_matrices.npz",
        lambda temporary: np.savez_compressed(temporary, **matrices),
    )
    plot_correlation_matrices(correlations, blocks, out / MATRICES)
    plot_correlation_by_block(correlations, out / BY_BLOCK)


def statistics_rows(analyses: Mapping[str, GateAnalysis]) -> list[Row]:
    """A row a network and block: mean, spread and saturation."""
    return [
        {"run": label, **block.to_row()}
        for label, analysis in analyses.items()
        for block in analysis.statistics.values()
    ]


def correlation_rows(analyses: Mapping[str, GateAnalysis]) -> list[Row]:
    """A row a network and block, and one for each network."""
    return [
        {"run": label, **row}
        for label, analysis in analyses.items()
        for row in analysis.correlation.to_rows()
    ]


def _channel_rows(analyses: Mapping[str, GateAnalysis]) -> list[Row]:
    return [
        {
            "run": label,
            "block": block.block,
            "channel": channel,
            "mean": round(float(mean), 7),
            "std": round(float(std), 7),
        }
        for label, analysis in analyses.items()
        for block in analysis.statistics.values()
        for channel, (mean, std) in enumerate(
            zip(block.channel_means, block.channel_stds, strict=True)
        )
    ]


def _histogram_rows(analyses: Mapping[str, GateAnalysis]) -> list[Row]:
    return [
        {
            "run": label,
            "block": block_name(layer),
            **{
                f"{index / len(shares):.2f}": round(float(share), 7)
                for index, share in enumerate(shares)
            },
        }
        for label, analysis in analyses.items()
        for layer, shares in analysis.histograms.items()
    ]
