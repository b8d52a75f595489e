r"""Trains a style transfer network from a recipe and leaves a run folder.

    srm-keras train_stylizer --config=style_transfer \
        --config.content.options.data_dir=COCO --config.style.image=painting.jpg \
        --config.normalization=batch --config.recalibration=srm --workdir=runs/painting

Every field of the recipe can be set on the command line; ``--config=NAME:smoke`` is the recipe's
one-minute form. A run that was stopped or killed goes on when the same command is started again.
docs/style_transfer.md lists the fields and the files that a run writes.
"""

from collections.abc import Sequence

from absl.flags import FlagValues

from srm_keras.cli import flags as shared

RECIPES = "srm_keras.training.stylization.recipe"


def define(flags: FlagValues) -> None:
    """Define the flags."""
    shared.config(flags)
    shared.overwrite(flags, "the run that `workdir` holds")


def main(flags: FlagValues, arguments: Sequence[str]) -> None:
    """Train, and print the losses."""
    chosen = shared.chosen_recipe(flags, arguments)
    from srm_keras.training.stylization import train_stylizer

    result = train_stylizer(chosen, flags.workdir, overwrite=flags.overwrite)
    for split, losses in result["last"]["splits"].items() if result else ():
        values = ", ".join(f"{name} {value:.5g}" for name, value in losses.items())
        print(f"{split} (step {result['last']['step']:.0f}): {values}")
    print(f"Run folder: {flags.workdir}")
