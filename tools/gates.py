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

RUNS = flags.DEFINE_list("runs", [], "Run folders of train.classify, or patterns.")
OUT = flags.DEFINE_string("out", None, "Folder for the results.")
BLOCKS = flags.DEFINE_list(
    "blocks", [], "Blocks in correlation.png, such as conv2_6; by default the last of every stage."
)
CHECKPOINT = flags.DEFINE_enum("checkpoint", "best", ["best", "last"], "Which weights to take.")
SAMPLES = flags.DEFINE_integer(
    "samples", None, "Number of evaluation images; by default all.", lower_bound=2
)

BATCH = 128


def main(argv: Sequence[str]) -> None:
    """Analyse the runs that the flags name."""
    check_flags(argv, RUNS, OUT)
    from srm_keras.analysis.gates.report import FILES, write_gate_files
    from srm_keras.files import writable_file
    from tools.analysed_runs import analysed_runs, drawn_blocks
    from tools.run_samples import evaluation_samples

    for name in FILES:
        writable_file("out", Path(OUT.value) / name)
    runs = analysed_runs(RUNS.value, CHECKPOINT.value, gates=True)
    blocks = drawn_blocks(runs, BLOCKS.value)
    # All runs read the same images: analysed_runs refuses others.
    inputs = evaluation_samples(next(iter(runs.values())), SAMPLES.value or sys.maxsize).inputs
    analyses = {label: _read(label, run, inputs) for label, run in runs.items()}
    write_gate_files(analyses, blocks, OUT.value)
    _print(analyses)
    print(f"Wrote {', '.join(FILES)} to {OUT.value}")


def _read(label: str, run, inputs):
    import numpy as np

    from srm_keras.analysis.gates.report import analyse_gates
    from srm_keras.data.progress import with_progress

    batches = np.split(inputs, range(BATCH, len(inputs), BATCH))
    progress = with_progress(batches, len(batches), f"{label}: read", "batches")
    return analyse_gates(run.model, progress)


def _print(analyses) -> None:
    from srm_keras.analysis.gates.report import correlation_rows, statistics_rows
    from srm_keras.tables import text_table

    names = ("mean", "spread_over_images", "spread_over_channels", "shut", "open")
    rows = [
        (row["run"], row["block"], *(f"{row[name]:.4f}" for name in names))
        for row in statistics_rows(analyses)
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
        for row in correlation_rows(analyses)
    ]
    print()
    print(text_table(header, rows))


if __name__ == "__main__":
    start(main)
