r"""Trains a style transfer network from a recipe and leaves a run folder.

    python -m train.stylize --config=style_transfer \
        --config.content.options.data_dir=COCO --config.style.image=painting.jpg \
        --config.normalization=batch --config.recalibration=srm --workdir=runs/painting

Every field of the recipe can be set on the command line; `--config=NAME:smoke` is the recipe's
one-minute form. A run that was stopped or killed goes on when the same command is started again.
docs/style_transfer.md lists the fields and the files that a run writes.
"""

from collections.abc import Sequence

from absl import flags

from train import command_line

OVERWRITE = flags.DEFINE_bool("overwrite", False, "Replace the run that `workdir` holds.")


def main(argv: Sequence[str]) -> None:
    """Trains, and prints the losses."""
    from srm_keras.training.stylization import train_stylizer

    workdir = command_line.WORKDIR.value
    result = train_stylizer(command_line.recipe(), workdir, overwrite=OVERWRITE.value)
    for split, losses in result["last"]["splits"].items() if result else ():
        values = ", ".join(f"{name} {value:.5g}" for name, value in losses.items())
        print(f"{split} (step {result['last']['step']:.0f}): {values}")
    print(f"Run folder: {workdir}")


if __name__ == "__main__":
    command_line.start(main, "srm_keras.training.stylization.recipe")
