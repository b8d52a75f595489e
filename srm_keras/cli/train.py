r"""Trains an image classifier from a recipe and leaves a run folder.

    srm-keras train --config=texture_shapes \
        --config.recalibration=srm --workdir=runs/texture_shapes_srm

Every field of the recipe can be set on the command line (``--config.seed=1``,
``--config.model.options.depth=20``); ``--config=NAME:smoke`` is the recipe's one-minute form.
A run that was stopped or killed goes on when the same command is started again. docs/training.md
lists the fields and the files that a run writes.
"""

from collections.abc import Sequence

from absl.flags import FlagValues

from srm_keras.cli import flags as shared

RECIPES = "srm_keras.training.recipe"


def define(flags: FlagValues) -> None:
    """Define the flags."""
    shared.config(flags)
    shared.overwrite(flags, "the run that `workdir` holds")


def main(flags: FlagValues, arguments: Sequence[str]) -> None:
    """Train, and print the accuracies."""
    chosen = shared.chosen_recipe(flags, arguments)
    from srm_keras.training import train

    result = train(chosen, flags.workdir, overwrite=flags.overwrite)
    for name in ("best", "last") if result else ():
        scores = ", ".join(f"{k} {v['accuracy']:.4f}" for k, v in result[name]["splits"].items())
        print(f"{name} weights (step {result[name]['step']}): {scores}")
    if result.get("stopped_early"):
        print(f"Stopped early after step {result['stopped_early']['step']} of {chosen.steps}")
    print(f"Run folder: {flags.workdir}")
