r"""Compares recalibration modules by cross-validation: folds × modules × seeds in one command.

    python -m train.cross_validate --config=texture_shapes \
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

from absl import flags

from train import command_line

MODULES = ("none", "se", "ge", "eca", "cbam", "srm")

RECALIBRATIONS = flags.DEFINE_list(
    "recalibrations",
    None,
    "Names of modules or of variants in the recipe file, or none; the first is the one that the "
    "others are compared with. By default the recipe's variants, or else none and every module.",
)
FOLDS = flags.DEFINE_integer("folds", 5, "Number of folds.", lower_bound=2)
SEEDS = flags.DEFINE_list("seeds", ["0"], "Seeds of the training.")


def main(argv: Sequence[str]) -> None:
    """Runs the cross-validation, and prints its tables."""
    from srm_keras.training import cross_validate

    cross_validate(
        command_line.recipe(),
        command_line.WORKDIR.value,
        _specs(RECALIBRATIONS.value),
        FOLDS.value,
        [command_line.seed(text) for text in SEEDS.value],
    )
    print((Path(command_line.WORKDIR.value) / "summary.md").read_text())


def _specs(names: Sequence[str] | None) -> dict[str, Any]:
    """The spec of each name; by default, of the recipe's variants or else of all modules."""
    from srm_keras.layers import list_recalibrations, recalibration
    from srm_keras.validation import one_of

    variants = _variants()
    known = {"none": None} | {name: name for name in list_recalibrations()} | variants
    chosen = list(variants) or list(MODULES) if names is None else names
    specs = {name: known[one_of("recalibrations", name, known)] for name in chosen}
    for spec in specs.values():
        recalibration(spec)
    return specs


def _variants() -> dict[str, Any]:
    """The mapping RECALIBRATIONS of the recipe file; empty where it has none."""
    return runpy.run_path(command_line.recipe_file()).get("RECALIBRATIONS", {})


if __name__ == "__main__":
    command_line.start(main, "srm_keras.training.recipe")
