"""Draws contact sheets of texture_shapes and, on request, prepares its TFDS data set.

python -m tools.texture_shapes --out=runs/texture_shapes
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from absl import flags as absl_flags
from absl.flags import FlagValues

from srm_keras.cli import flags as shared
from srm_keras.cli.main import run


def define(flags: FlagValues) -> None:
    """Define the flags."""
    absl_flags.DEFINE_string(
        "out", "runs/texture_shapes", "Folder for one <split>.png a split.", flag_values=flags
    )
    absl_flags.DEFINE_integer("seed", 0, "The data set's seed.", flag_values=flags)
    absl_flags.DEFINE_integer("size", 32, "Side of the images in pixels.", flag_values=flags)
    absl_flags.DEFINE_float(
        "cue_correlation",
        0.1,
        "Probability in train and test that shape k has texture k.",
        flag_values=flags,
    )
    absl_flags.DEFINE_string(
        "tfds_dir",
        None,
        "Also prepares the TFDS data set in this folder; nothing is downloaded.",
        flag_values=flags,
    )
    absl_flags.DEFINE_enum(
        "tfds_label", "shape", ["shape", "texture"], "Its label.", flag_values=flags
    )


def main(flags: FlagValues, arguments: Sequence[str]) -> None:
    """Writes the contact sheets, then the TFDS data set if a folder is given for it."""
    from srm_keras.data import texture_shapes

    options = {"seed": flags.seed, "size": flags.size, "cue_correlation": flags.cue_correlation}
    shared.check(flags, arguments)
    paths = texture_shapes.write_contact_sheets(Path(flags.out), **options)
    print("Wrote " + ", ".join(map(str, paths)))
    if flags.tfds_dir is not None:
        from srm_keras.data.texture_shapes.builder import prepare

        print(f"Prepared {prepare(flags.tfds_dir, label=flags.tfds_label, **options)}")


if __name__ == "__main__":
    sys.exit(run(sys.modules[__name__], sys.argv[1:], "python -m tools.texture_shapes"))
