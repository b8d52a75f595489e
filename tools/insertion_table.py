r"""Inserts modules into every classification network of keras.applications.

    python -m tools.insertion_table --out=docs/results
    python -m tools.insertion_table --out=runs/insertion --models=MobileNetV2,VGG16 --module=se

Where the modules go, the parameters before and after, and the largest difference of the outputs
before any training (neutral start). Writes insertion.json, insertion.csv and insertion.md to --out
after each network. A table that was interrupted goes on where it was. Networks are built without
pretrained weights; the largest take 4 GB of memory. Exits with 1 if a difference is above 1e-5 of
the largest output.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from absl import flags

from tools.command_line import check_flags, start

BOUND = 1e-5

OUT = flags.DEFINE_string("out", None, "Folder for insertion.json, insertion.csv and insertion.md.")
MODELS = flags.DEFINE_list("models", None, "Names in keras.applications; by default all.")
MODULE = flags.DEFINE_string("module", "srm", "Name of a module, such as srm or se.")


def main(argv: Sequence[str]) -> None:
    """Make the table that the flags ask for."""
    changed = _table(argv)
    if changed:
        sys.exit(f"error: the outputs of {', '.join(changed)} are not what they were.")


def _table(argv: Sequence[str]) -> list[str]:
    check_flags(argv, OUT)
    from srm_keras.analysis.insertion_table import insertion_table
    from srm_keras.files import writable_file
    from srm_keras.layers import list_recalibrations
    from srm_keras.validation import one_of

    one_of("--module", MODULE.value, list_recalibrations())
    folder = writable_file("--out", Path(OUT.value, "insertion.json")).parent
    changed = []
    for row in insertion_table(folder, MODELS.value or (), MODULE.value):
        print(
            f"{row['model']}: {row['modules']} modules, {row['parameters']:,} -> "
            f"{row['parameters_after']:,} parameters, difference {row['relative_difference']:.1g}",
            flush=True,
        )
        if not row["relative_difference"] <= BOUND:
            changed.append(row["model"])
    print(f"Wrote insertion.json, insertion.csv and insertion.md to {folder}")
    return changed


if __name__ == "__main__":
    start(main)
