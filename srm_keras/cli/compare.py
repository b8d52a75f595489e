"""Sets training runs side by side: one picture, one table.

    srm-keras compare RUN [RUN ...] --out=FOLDER
    srm-keras compare --models=RUN,RUN --out=FOLDER

The runs differ in recalibration and seed.
"""

from collections.abc import Sequence
from pathlib import Path

from absl.flags import FlagValues

from srm_keras.cli import flags as shared


def define(flags: FlagValues) -> None:
    """Define the flags."""
    shared.models(flags, ("run",))
    shared.out(flags, "runs/compare")


def main(flags: FlagValues, arguments: Sequence[str]) -> None:
    """Writes the comparison and prints its table."""
    from srm_keras.cli.paper_records import evaluated_runs
    from srm_keras.support.files import writable_file
    from srm_keras.training.compare import compare_runs, comparison_text

    writable_file("out", Path(flags.out) / "compare.png")
    print(comparison_text(compare_runs(evaluated_runs([*flags.models, *arguments]), flags.out)))
    files = "compare.png, runs.csv, compare.csv, classes.csv and compare.json"
    print(f"Wrote {files} to {flags.out}")
