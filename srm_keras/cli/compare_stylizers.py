r"""Trains style transfer networks that differ in normalization and modules, and compares them.

    srm-keras compare_stylizers --config=style_transfer \
        --config.content.options.data_dir=COCO --config.style.image=painting.jpg \
        --variants=bn,in,bn+se,bn+srm,bn+eca --seeds=0,1,2 --workdir=runs/painting

The paper's Figures 4 and 5 (Lee et al. 2019, section 4.3). ``bn+ge`` is Gather-Excite without
parameters, which works at any size of image. The same command goes on where an earlier one was
stopped. docs/style_transfer.md describes what it writes to --workdir.
"""

from collections.abc import Sequence
from pathlib import Path

from absl import flags as absl_flags
from absl.flags import FlagValues

from srm_keras.cli import flags as shared

RECIPES = "srm_keras.training.stylization.recipe"
MODULES = {"ge": {"name": "ge", "params": "theta_minus"}}


def define(flags: FlagValues) -> None:
    """Define the flags."""
    shared.config(flags)
    absl_flags.DEFINE_list(
        "variants",
        ["bn", "in", "bn+se", "bn+srm"],
        "bn or in, alone or with a module: bn+srm.",
        flag_values=flags,
    )
    shared.seeds(flags)


def main(flags: FlagValues, arguments: Sequence[str]) -> None:
    """Run the comparison, and print its table."""
    chosen, seeds = shared.chosen_recipe(flags, arguments), shared.seed_numbers(flags)
    from srm_keras.training.stylization import compare_stylizers

    compare_stylizers(chosen, flags.workdir, flags.variants, seeds, MODULES)
    print((Path(flags.workdir) / "summary.md").read_text())
