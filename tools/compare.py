"""Compares training runs that differ in recalibration and seed: one picture, one table.

python -m tools.compare RUN [RUN ...] --out=FOLDER
"""

from collections.abc import Sequence
from pathlib import Path

from absl import flags

from tools.command_line import start

OUT = flags.DEFINE_string("out", "runs/compare", "Folder for compare.png, compare.csv and more.")


def main(argv: Sequence[str]) -> None:
    """Writes the comparison and prints its table."""
    from srm_keras.files import writable_file
    from srm_keras.training.compare import compare_runs, comparison_text
    from tools.run_records import evaluated_runs

    writable_file("out", Path(OUT.value) / "compare.png")
    print(comparison_text(compare_runs(evaluated_runs(argv[1:]), OUT.value)))
    print(f"Wrote compare.png, runs.csv, compare.csv and compare.json to {OUT.value}")


if __name__ == "__main__":
    start(main)
