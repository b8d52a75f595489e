"""Draws contact sheets of texture_shapes and, on request, prepares its TFDS data set.

python -m tools.texture_shapes --out=runs/texture_shapes
"""

from collections.abc import Sequence
from pathlib import Path

from absl import flags

from tools.command_line import check_flags, start

OUT = flags.DEFINE_string("out", "runs/texture_shapes", "Folder for one <split>.png a split.")
SEED = flags.DEFINE_integer("seed", 0, "The data set's seed.")
SIZE = flags.DEFINE_integer("size", 32, "Side of the images in pixels.")
CUE_CORRELATION = flags.DEFINE_float(
    "cue_correlation", 0.1, "Probability in train and test that shape k has texture k."
)
TFDS_DIR = flags.DEFINE_string(
    "tfds_dir", None, "Also prepares the TFDS data set in this folder; nothing is downloaded."
)
TFDS_LABEL = flags.DEFINE_enum("tfds_label", "shape", ["shape", "texture"], "Its label.")


def main(argv: Sequence[str]) -> None:
    """Writes the contact sheets, then the TFDS data set if a folder is given for it."""
    from srm_keras.data import texture_shapes

    options = {"seed": SEED.value, "size": SIZE.value, "cue_correlation": CUE_CORRELATION.value}
    check_flags(argv)
    paths = texture_shapes.write_contact_sheets(Path(OUT.value), **options)
    print("Wrote " + ", ".join(map(str, paths)))
    if TFDS_DIR.value is not None:
        from srm_keras.data.texture_shapes.builder import prepare

        print(f"Prepared {prepare(TFDS_DIR.value, label=TFDS_LABEL.value, **options)}")


if __name__ == "__main__":
    start(main)
