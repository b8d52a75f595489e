r"""CIFAR-10 as in the paper (Lee et al. 2019, section 4.1, Table 2).

Four black pixels on every side and a random 32×32 crop, and (as is usual; the paper does not name
it) mirroring; evaluation on the images as they are. SGD with momentum 0.9 and weight decay 1e-4,
64,000 updates of 128 images; the rate is 0.2, a tenth of it from update 32,000 on and a hundredth
from 48,000. The paper's ResNet-56 has nine bottleneck blocks a stage.

    srm-keras train --config=cifar10 \
        --config.recalibration=srm --workdir=runs/cifar10_srm

The paper's top-1 in %: plain 93.77, SE 94.60, GE 94.32, SRM 95.05, on one GPU. Not run here.

Data: ``--config.data.options.data_dir=FOLDER`` with CIFAR-10 as TFDS prepares it, or its binary
archive; see docs/data.md.
"""

from ml_collections import ConfigDict, config_dict

from srm_keras.recipes import on_made_up_images
from srm_keras.training import default_recipe, is_smoke


def get_config(form: str = "") -> ConfigDict:
    """The recipe; with form="smoke", one on made-up images that ends in seconds."""
    recipe = default_recipe()

    recipe.data.name = "cifar10"
    recipe.data.options = ConfigDict({"data_dir": config_dict.placeholder(str)})
    recipe.data.preprocessing = ConfigDict(
        {
            "image_size": 32,
            "pad": 4,
            "flip": True,
            "mean": (0.4914, 0.4822, 0.4465),
            "std": (0.2470, 0.2435, 0.2616),
        }
    )

    recipe.model.name = "cifar_resnet"
    recipe.model.options = ConfigDict({"depth": 56, "block": "bottleneck"})

    recipe.steps = 64_000
    recipe.eval_every = 1_000
    recipe.batch_size = 128
    recipe.eval_batch_size = 500
    recipe.optimizer.momentum = 0.9
    recipe.optimizer.weight_decay = 1e-4
    recipe.learning_rate.base = 0.2
    recipe.learning_rate.milestones = (32_000, 48_000)

    if is_smoke(form):
        on_made_up_images(recipe, image_shape=32, classes=10, examples=16)
        recipe.model.options.depth = 8
    return recipe
