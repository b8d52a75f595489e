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
from srm_keras.analysis.gates.reading import (
    NetworkGates,
    block_name,
    last_blocks,
    select_blocks,
)
from srm_keras.analysis.gates.statistics import GateStatistics, RunningStatistics
from srm_keras.support.files import writable_file, write_atomically, write_csv, write_json

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
        statistics: Of every block, by layer name; see ``gate_statistics``.
        histograms: Likewise; see ``gate_histograms``.
        correlation: See ``gate_correlation``.
    """

    statistics: Mapping[str, GateStatistics]
    histograms: Mapping[str, np.ndarray]
    correlation: GateCorrelation


class RunningAnalysis:
    """Gathers all about the gates of a network, batch by batch.

    Args:
        model: A functional model that contains ``Recalibration`` layers.

    Raises:
        ValueError: The model is not functional, or has no recalibration layer.
    """

    def __init__(self, model: keras.Model):
        self._network = NetworkGates(model)
        self._statistics, self._histograms = RunningStatistics(), RunningHistograms()
        self._correlation = RunningCorrelation()

    def add(self, batch: np.ndarray) -> None:
        """Take in prepared images, (N, H, W, 3), as the model takes them."""
        gates = self._network.read(batch)
        weights = self._network.by_channel(gates)
        self._histograms.add(gates)
        self._statistics.add(weights)
        self._correlation.add(weights)

    def result(self) -> GateAnalysis:
        """Return the statistics, histograms and correlation; ``ValueError`` under two images."""
        statistics, shares = self._statistics.result(), self._histograms.shares()
        return GateAnalysis(statistics, shares, self._correlation.result())


def gate_report(
    models: Mapping[str, keras.Model],
    batches: Iterable[np.ndarray],
    folder: str | os.PathLike,
    blocks: Sequence[str] | None = None,
) -> dict[str, GateAnalysis]:
    """Read the gates of networks in one pass over images, and write tables and pictures of them.

    Each batch goes through all networks and is dropped: memory does not grow with the number of
    images.

    Args:
        models: Functional models that contain ``Recalibration`` layers, by label.
        batches: Prepared images, (N, H, W, 3) each, as the models take them; N may vary.
        folder: Where ``FILES`` go; made if it does not exist.
        blocks: Those whose correlation matrices are drawn, which all networks have; by default the
            last one of every stage of the first network.

    Returns:
        What was found, by label.

    Raises:
        ValueError: There is no model, one is not functional or has no recalibration layer or no
            such block, ``folder`` cannot be written, or there are fewer than two images.
    """
    if not models:
        raise ValueError("`models` must hold at least one network. Received: none")
    drawn = last_blocks(next(iter(models.values()))) if blocks is None else list(blocks)
    for model in models.values():
        drawn = list(select_blocks(model, drawn))
    for name in FILES:
        writable_file("folder", Path(folder) / name)
    running = {label: RunningAnalysis(model) for label, model in models.items()}
    for batch in batches:
        for analysis in running.values():
            analysis.add(batch)
    analyses = {label: analysis.result() for label, analysis in running.items()}
    _write_tables(analyses, Path(folder))
    _write_correlations(analyses, drawn, Path(folder))
    return analyses


def _write_tables(analyses: Mapping[str, GateAnalysis], out: Path) -> None:
    rows = statistics_rows(analyses)
    write_csv(out / "statistics.csv", rows)
    write_json(out / "statistics.json", rows)
    write_csv(out / "channels.csv", _channel_rows(analyses))
    write_csv(out / "histograms.csv", _histogram_rows(analyses))
    histograms = {label: analysis.histograms for label, analysis in analyses.items()}
    title = "Gates by value, share of each block's gates"
    plot_gate_histograms(histograms, out / HISTOGRAMS, title)


def _write_correlations(
    analyses: Mapping[str, GateAnalysis], blocks: Sequence[str], out: Path
) -> None:
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
