"""Sets training runs side by side: one picture, one table.

    srm-keras compare RUN [RUN ...] --out=FOLDER

The runs differ in recalibration and seed.
"""

from collections.abc import Sequence
from pathlib import Path

from absl import flags as absl_flags
from absl.flags import FlagValues


def define(flags: FlagValues) -> None:
    """Define the flags."""
    absl_flags.DEFINE_string(
        "out", "runs/compare", "Folder for compare.png, compare.csv and more.", flag_values=flags
    )


def main(flags: FlagValues, arguments: Sequence[str]) -> None:
    """Writes the comparison and prints its table."""
    from srm_keras.cli.paper_records import evaluated_runs
    from srm_keras.support.files import writable_file
    from srm_keras.training.compare import compare_runs, comparison_text

    writable_file("out", Path(flags.out) / "compare.png")
    print(comparison_text(compare_runs(evaluated_runs(arguments), flags.out)))
    print(f"Wrote compare.png, runs.csv, compare.csv and compare.json to {flags.out}")
