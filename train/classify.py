r"""Trains an image classifier from a recipe and leaves a run folder.

    python -m train.classify --config=texture_shapes \
        --config.recalibration=srm --workdir=runs/texture_shapes_srm

Every field of the recipe can be set on the command line (`--config.seed=1`,
`--config.model.options.depth=20`); `--config=NAME:smoke` is the recipe's one-minute form.
A run that was stopped or killed goes on when the same command is started again. docs/training.md
lists the fields and the files that a run writes.
"""

from collections.abc import Sequence

from absl import flags

from train import command_line

OVERWRITE = flags.DEFINE_bool("overwrite", False, "Replace the run that `workdir` holds.")


def main(argv: Sequence[str]) -> None:
    """Trains, and prints the accuracies."""
    from srm_keras.training import train

    workdir = command_line.WORKDIR.value
    result = train(command_line.recipe(), workdir, overwrite=OVERWRITE.value)
    for name in ("best", "last") if result else ():
        scores = ", ".join(f"{k} {v['accuracy']:.4f}" for k, v in result[name]["splits"].items())
        print(f"{name} weights (step {result[name]['step']}): {scores}")
    print(f"Run folder: {workdir}")


if __name__ == "__main__":
    command_line.start(main, "srm_keras.training.recipe")
