r"""Fashion-MNIST: 60,000 + 10,000 grey 28×28 images of ten kinds of clothes.

The paper's CIFAR recipe (Lee et al. 2019, section 4.1), scaled to the data: pad 2 instead of 4
pixels, so that crops move as far as there in proportion to the image, and random crop 28 + flip.
Modules start neutral, other than in the paper: gates near ½ halve every residual branch in the
beginning, which a training of a sixteenth of its length does not make up for.

    srm-keras train --config=fashion_mnist \
        --config.recalibration=srm --workdir=runs/fashion_mnist_srm

A shorter run with the numbers it gave is in docs/results/training.md.

Data: the Debian package ``dataset-fashion-mnist``, or the four files of the original.
"""

from ml_collections import ConfigDict, config_dict

from srm_keras.recipes import on_made_up_images
from srm_keras.training import default_recipe, is_smoke


def get_config(form: str = "") -> ConfigDict:
    """The recipe; with form="smoke", one on made-up images that ends in seconds."""
    recipe = default_recipe()

    recipe.data.name = "fashion_mnist"
    recipe.data.options = ConfigDict({"data_dir": config_dict.placeholder(str)})
    recipe.data.preprocessing = ConfigDict(
        {"image_size": 28, "channels": 1, "pad": 2, "flip": True, "mean": 0.286, "std": 0.353}
    )

    recipe.model.name = "cifar_resnet"
    recipe.model.options = ConfigDict({"depth": 20, "block": "basic"})
    recipe.model.neutral = True

    recipe.steps = 4000
    recipe.eval_every = 250
    recipe.batch_size = 128
    recipe.learning_rate.base = 0.1
    recipe.learning_rate.milestones = (recipe.steps // 2, recipe.steps * 3 // 4)

    if is_smoke(form):
        on_made_up_images(recipe, image_shape=28, channels=1, classes=10, examples=16)
        recipe.model.options.depth = 8
    return recipe
