r"""Compares recalibration modules by cross-validation: folds × modules × seeds in one command.

    python -m train.cross_validate --config=train/recipes/texture_shapes.py \
        --config.data.fold_by=group --recalibrations=none,se,ge,eca,cbam,srm --folds=5 \
        --seeds=0,1,2 --workdir=runs/texture_shapes_folds

The same command goes on where an earlier one was stopped. docs/training.md describes the tables
that it writes to --workdir.
"""

from collections.abc import Sequence

from absl import app, flags

from train import command_line

RECALIBRATIONS = flags.DEFINE_list(
    "recalibrations",
    ["none", "se", "ge", "eca", "cbam", "srm"],
    "Names of modules, or none; the first is the one that the others are compared with.",
)
FOLDS = flags.DEFINE_integer("folds", 5, "Number of folds.", lower_bound=2)
SEEDS = flags.DEFINE_list("seeds", ["0"], "Seeds of the training.")


def main(argv: Sequence[str]) -> None:
    """Runs the cross-validation, and prints its tables."""
    from pathlib import Path

    from srm_keras.training import cross_validate

    with command_line.one_line_errors():
        specs = {name: None if name == "none" else name for name in RECALIBRATIONS.value}
        cross_validate(
            command_line.CONFIG.value,
            command_line.WORKDIR.value,
            specs,
            FOLDS.value,
            [_seed(text) for text in SEEDS.value],
        )
    print((Path(command_line.WORKDIR.value) / "summary.md").read_text())


def _seed(text: str) -> int:
    if not text.strip().isdigit():
        raise ValueError(f"`seeds` must be non-negative integers. Received: {text!r}")
    return int(text)


if __name__ == "__main__":
    app.run(main, flags_parser=command_line.parse_flags)
