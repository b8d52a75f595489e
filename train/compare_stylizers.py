r"""Trains style transfer networks that differ in normalization and modules, and compares them.

    python -m train.compare_stylizers --config=style_transfer \
        --config.content.options.data_dir=COCO --config.style.image=painting.jpg \
        --variants=bn,in,bn+se,bn+srm,bn+eca --seeds=0,1,2 --workdir=runs/painting

The paper's Figures 4 and 5 (Lee et al. 2019, section 4.3). `bn+ge` is Gather-Excite without
parameters, which works at any size of image. The same command goes on where an earlier one was
stopped. docs/style_transfer.md describes what it writes to --workdir.
"""

from collections.abc import Sequence
from pathlib import Path

from absl import flags

from train import command_line

MODULES = {"ge": {"name": "ge", "params": "theta_minus"}}

VARIANTS = flags.DEFINE_list(
    "variants", ["bn", "in", "bn+se", "bn+srm"], "bn or in, alone or with a module: bn+srm."
)
SEEDS = flags.DEFINE_list("seeds", ["0"], "Seeds of the training.")


def main(argv: Sequence[str]) -> None:
    """Runs the comparison, and prints its table."""
    from srm_keras.training.stylization import compare_stylizers

    workdir = command_line.WORKDIR.value
    seeds = [command_line.seed(text) for text in SEEDS.value]
    compare_stylizers(command_line.recipe(), workdir, VARIANTS.value, seeds, MODULES)
    print((Path(workdir) / "summary.md").read_text())


if __name__ == "__main__":
    command_line.start(main, "srm_keras.training.stylization.recipe")
