r"""Compares recalibration modules by cross-validation: folds × modules × seeds in one command.

    srm-keras cross_validate --config=texture_shapes \
        --config.data.fold_by=group --recalibrations=none,se,ge,eca,cbam,srm --folds=5 \
        --seeds=0,1,2 --workdir=runs/texture_shapes_folds

A recipe file with a mapping RECALIBRATIONS names variants of modules, which are then compared where
--recalibrations says nothing else (srm_keras/recipes/ablations.py).

The same command goes on where an earlier one was stopped. docs/training.md describes the tables
that it writes to --workdir.
"""

import runpy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from absl import flags as absl_flags
from absl.flags import FlagValues

from srm_keras.cli import flags as shared

RECIPES = "srm_keras.training.recipe"
MODULES = ("none", "se", "ge", "eca", "cbam", "simam", "gct", "fca", "srm")


def define(flags: FlagValues) -> None:
    """Define the flags."""
    shared.config(flags)
    absl_flags.DEFINE_list(
        "recalibrations",
        None,
        "Names of modules or of variants in the recipe file, or none; the first is the one that "
        "the others are compared with. By default the recipe's variants, or else none and every "
        "module.",
        flag_values=flags,
    )
    absl_flags.DEFINE_integer("folds", 5, "Number of folds.", lower_bound=2, flag_values=flags)
    shared.seeds(flags)


def main(flags: FlagValues, arguments: Sequence[str]) -> None:
    """Run the cross-validation, and print its tables."""
    chosen, seeds = shared.chosen_recipe(flags, arguments), shared.seed_numbers(flags)
    specs = _specs(flags.recalibrations, shared.recipe_file(flags))
    from srm_keras.training import cross_validate

    cross_validate(chosen, flags.workdir, specs, flags.folds, seeds)
    print((Path(flags.workdir) / "summary.md").read_text())


def _specs(names: Sequence[str] | None, file: str) -> dict[str, Any]:
    """The spec of each name; by default, of the recipe's variants or else of all modules."""
    from srm_keras.layers import list_recalibrations, recalibration
    from srm_keras.support.validation import one_of

    variants = runpy.run_path(file).get("RECALIBRATIONS", {})
    known = {"none": None} | {name: name for name in list_recalibrations()} | variants
    chosen = list(variants) or list(MODULES) if names is None else names
    specs = {name: known[one_of("recalibrations", name, known)] for name in chosen}
    for spec in specs.values():
        recalibration(spec)
    return specs
