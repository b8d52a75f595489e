r"""CIFAR-100 as in the paper (Lee et al. 2019, section 4.1, Table 2).

The CIFAR-10 recipe on the 100 fine labels.

    srm-keras train --config=cifar100 \
        --config.recalibration=srm --workdir=runs/cifar100_srm

The paper's top-1 in %: plain 74.76, SE 76.10, GE 76.02, SRM 76.93, on one GPU. Not run here.

Data: ``--config.data.options.data_dir=FOLDER`` with CIFAR-100 as TFDS prepares it, or its binary
archive; see docs/data.md.
"""

from ml_collections import ConfigDict

from srm_keras.recipes import cifar10
from srm_keras.training import is_smoke


def get_config(form: str = "") -> ConfigDict:
    """The recipe; with form="smoke", one on made-up images that ends in seconds."""
    recipe = cifar10.get_config(form)
    recipe.data.preprocessing.update(mean=(0.5071, 0.4866, 0.4409), std=(0.2673, 0.2564, 0.2762))
    if is_smoke(form):
        recipe.data.options.classes = 100
    else:
        recipe.data.name = "cifar100"
    return recipe
