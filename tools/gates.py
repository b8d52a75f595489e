r"""Shows what the gates of trained networks do, and how much channels say the same.

    python -m tools.gates --runs=runs/se,runs/srm --out=runs/gates

Reads run folders of train.classify, whose networks must have recalibration modules, and writes for
images of the evaluation split, to --out:

- statistics.csv, statistics.json: a row a run and block: mean, spread and saturation of the gates
- channels.csv: a row a run, block and channel: mean and standard deviation over the images
- histograms.png, histograms.csv: all gates of every block by value
- correlation.csv, correlation.json: a row a run and block, and one for each network: sums and means
  of squared correlation coefficients between channels, and what chance gives
- correlation_matrices.npz: RUN/BLOCK, the matrices as float32
- correlation.png: matrices of --blocks; correlation_by_block.png: their mean square, all blocks

docs/gates.md says what the numbers mean.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from absl import flags

from tools.command_line import check_flags, start

RUNS = flags.DEFINE_list("runs", [], "Run folders of train.classify.")
OUT = flags.DEFINE_string("out", None, "Folder for the results.")
BLOCKS = flags.DEFINE_list(
    "blocks", [], "Blocks in correlation.png, such as conv2_6; by default the last of every stage."
)
CHECKPOINT = flags.DEFINE_enum("checkpoint", "best", ["best", "last"], "Which weights to take.")
SAMPLES = flags.DEFINE_integer(
    "samples", None, "Number of evaluation images; by default all.", lower_bound=2
)

BATCH = 128
FILES = (
    *("statistics.csv", "statistics.json", "channels.csv", "histograms.csv", "histograms.png"),
    *("correlation.csv", "correlation.json", "correlation_matrices.npz"),
    *("correlation.png", "correlation_by_block.png"),
)


def main(argv: Sequence[str]) -> None:
    """Analyse the runs that the flags name."""
    check_flags(argv, RUNS, OUT)
    from srm_keras.files import writable_file
    from tools.analysed_runs import analysed_runs, drawn_blocks
    from tools.run_samples import evaluation_samples

    for name in FILES:
        writable_file("out", Path(OUT.value) / name)
    runs = analysed_runs(RUNS.value, CHECKPOINT.value)
    blocks = drawn_blocks(runs, BLOCKS.value)
    # All runs read the same images: analysed_runs refuses others.
    inputs = evaluation_samples(next(iter(runs.values())), SAMPLES.value or sys.maxsize).inputs
    statistics, histograms, correlations = {}, {}, {}
    for label, run in runs.items():
        statistics[label], histograms[label], correlations[label] = _read(label, run, inputs)
    out = Path(OUT.value)
    _write_statistics(out, statistics)
    _write_histograms(out, histograms)
    _write_correlations(out, correlations, blocks)
    _print(statistics, correlations)
    print(f"Wrote {', '.join(FILES)} to {OUT.value}")


def _read(label: str, run, inputs):
    """Statistics and correlation of channel weights, and the histograms of all gates."""
    import numpy as np

    from srm_keras.analysis.gates.correlation import RunningCorrelation
    from srm_keras.analysis.gates.histograms import RunningHistograms
    from srm_keras.analysis.gates.reading import NetworkGates
    from srm_keras.analysis.gates.statistics import RunningStatistics
    from srm_keras.data.progress import with_progress

    batches = np.split(inputs, range(BATCH, len(inputs), BATCH))
    network = NetworkGates(run.model)
    statistics, correlation, histograms = (
        RunningStatistics(),
        RunningCorrelation(),
        RunningHistograms(),
    )
    for batch in with_progress(batches, len(batches), f"{label}: read", "batches"):
        gates = network.read(batch)
        histograms.add(gates)
        weights = network.by_channel(gates)
        statistics.add(weights)
        correlation.add(weights)
    return statistics.result(), histograms.shares(), correlation.result()


def _write_statistics(out: Path, statistics) -> None:
    from srm_keras.files import write_csv, write_json

    rows = _statistics_rows(statistics)
    write_csv(out / "statistics.csv", rows)
    write_json(out / "statistics.json", rows)
    channels = [
        {
            "run": label,
            "block": block.block,
            "channel": channel,
            "mean": round(float(mean), 7),
            "std": round(float(std), 7),
        }
        for label, blocks in statistics.items()
        for block in blocks.values()
        for channel, (mean, std) in enumerate(
            zip(block.channel_means, block.channel_stds, strict=True)
        )
    ]
    write_csv(out / "channels.csv", channels)


def _write_histograms(out: Path, histograms) -> None:
    from srm_keras.analysis.gates.blocks import block_name
    from srm_keras.analysis.gates.histogram_plots import plot_gate_histograms
    from srm_keras.files import write_csv

    rows = [
        {
            "run": label,
            "block": block_name(layer),
            **{
                f"{index / len(shares):.2f}": round(float(share), 7)
                for index, share in enumerate(shares)
            },
        }
        for label, blocks in histograms.items()
        for layer, shares in blocks.items()
    ]
    write_csv(out / "histograms.csv", rows)
    title = "Gates by value, share of each block's gates"
    plot_gate_histograms(histograms, out / "histograms.png", title)


def _write_correlations(out: Path, correlations, blocks: Sequence[str]) -> None:
    import numpy as np

    from srm_keras.analysis.gates.correlation_plots import (
        plot_correlation_by_block,
        plot_correlation_matrices,
    )
    from srm_keras.files import write_atomically, write_csv, write_json

    rows = _correlation_rows(correlations)
    write_csv(out / "correlation.csv", rows)
    write_json(out / "correlation.json", rows)
    matrices = {
        f"{label}/{block.block}": block.matrix.astype("float32")
        for label, correlation in correlations.items()
        for block in correlation.blocks.values()
    }
    write_atomically(
        out / "correlation_matrices.npz",
        lambda temporary: np.savez_compressed(temporary, **matrices),
    )
    plot_correlation_matrices(correlations, blocks, out / "correlation.png")
    plot_correlation_by_block(correlations, out / "correlation_by_block.png")


def _statistics_rows(statistics) -> list[dict]:
    return [
        {"run": label, **block.to_row()}
        for label, blocks in statistics.items()
        for block in blocks.values()
    ]


def _correlation_rows(correlations) -> list[dict]:
    return [
        {"run": label, **row}
        for label, correlation in correlations.items()
        for row in correlation.to_rows()
    ]


def _print(statistics, correlations) -> None:
    from srm_keras.tables import text_table

    names = ("mean", "spread_over_images", "spread_over_channels", "shut", "open")
    rows = [
        (row["run"], row["block"], *(f"{row[name]:.4f}" for name in names))
        for row in _statistics_rows(statistics)
    ]
    print(text_table(("run", "block", *(name.replace("_", " ") for name in names)), rows))
    header = ("run", "block", "constant", "sum r²", "sum r², i≠j", "mean r², i≠j", "chance")
    rows = [
        (
            row["run"],
            row["block"],
            str(row["constant_channels"]),
            f"{row['squared_sum']:,.1f}",
            f"{row['squared_sum_off_diagonal']:,.1f}",
            "–" if row["mean_squared"] is None else f"{row['mean_squared']:.4f}",
            f"{row['chance']:.4f}",
        )
        for row in _correlation_rows(correlations)
    ]
    print()
    print(text_table(header, rows))


if __name__ == "__main__":
    start(main)
