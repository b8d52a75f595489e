r"""Shows what the gates of trained networks do, and how much channels say the same.

    srm-keras gates --models=runs/se,runs/srm --out=runs/gates

Takes networks with recalibration modules that were trained on the same data, and writes for images
of the evaluation split or those of --images, to --out:

- statistics.csv, statistics.json: a row a run and block: mean, spread and saturation of the gates
- channels.csv: a row a run, block and channel: mean and standard deviation over the images
- histograms.png, histograms.csv: all gates of every block by value
- correlation.csv, correlation.json: a row a run and block, and one for each network: sums and means
  of squared correlation coefficients between channels, and what chance gives
- correlation_matrices.npz: RUN/BLOCK, the matrices as float32
- correlation.png: matrices of --blocks; correlation_by_block.png: their mean square, all blocks

docs/gates.md says what the numbers mean.
"""

from collections.abc import Sequence
from pathlib import Path

from absl import flags as absl_flags
from absl.flags import FlagValues

from srm_keras.cli import flags as shared

BATCH = 128


def define(flags: FlagValues) -> None:
    """Define the flags."""
    shared.models(flags, shared.CLASSIFIERS)
    shared.out(flags)
    absl_flags.DEFINE_list(
        "blocks",
        [],
        "Blocks in correlation.png, such as conv2_6; by default the last of every stage.",
        flag_values=flags,
    )
    shared.checkpoint(flags)
    shared.samples(flags, None, "by default all.", lower_bound=2)
    shared.images(flags, "looked at instead of the evaluation split.")


def main(flags: FlagValues, arguments: Sequence[str]) -> None:
    """Analyse the runs that the flags name."""
    shared.check(flags, arguments, "models", "out")
    from srm_keras.analysis.gates.report import FILES, gate_report
    from srm_keras.cli.networks import analysed_runs, drawn_blocks
    from srm_keras.cli.samples import SampleBatches
    from srm_keras.export.predictions import image_files
    from srm_keras.support.files import writable_file

    for name in FILES:
        writable_file("out", Path(flags.out) / name)
    files = image_files(flags.images) if flags.images else ()
    runs = analysed_runs(flags.models, flags.checkpoint, gates=True, files=bool(flags.images))
    blocks = drawn_blocks(runs, flags.blocks)
    # All runs read the same images: analysed_runs refuses others.
    samples = SampleBatches(next(iter(runs.values())), flags.samples, BATCH, files)
    models = {label: run.model for label, run in runs.items()}
    _print(gate_report(models, (inputs for inputs, _ in samples), flags.out, blocks))
    print(f"Wrote {', '.join(FILES)} to {flags.out}")


def _print(analyses) -> None:
    from srm_keras.analysis.gates.report import correlation_rows, statistics_rows
    from srm_keras.support.tables import number, text_table

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
            number(row["mean_squared"]),
            f"{row['chance']:.4f}",
        )
        for row in correlation_rows(analyses)
    ]
    print()
    print(text_table(header, rows))
