r"""An image folder of textures at desk size, trained with what short trainings use today.

A basic-block ResNet-8 on 32×32 crops, 800 updates of 64 images: AdamW with strong decay of all but
norms and biases, half a cosine after a warm-up, label smoothing, averaged weights. What
these were chosen among, on a fold of the training images, and what they gain over the SGD of the
recipe ``textures`` on five seeds is in docs/results/modern.md. Modules start neutral.

    srm-keras train --config=textures_adamw \
        --config.data.options.data_dir=FOLDER --config.recalibration=srm --workdir=runs/adamw_srm

FOLDER: as for the recipe ``textures``.
"""

from ml_collections import ConfigDict

from srm_keras.recipes import textures
from srm_keras.training import is_smoke


def get_config(form: str = "") -> ConfigDict:
    """The recipe; with form="smoke", one on made-up images that ends in seconds."""
    recipe = textures.get_config(form)
    recipe.data.preprocessing.update(image_size=32, resize=36)
    recipe.model.options.update(depth=8, block="basic")
    recipe.label_smoothing = 0.1
    recipe.optimizer.name = "adamw"
    recipe.optimizer.weight_decay = 0.3
    recipe.optimizer.exclude_from_decay = ("norms", "biases")
    recipe.optimizer.ema_decay = 0.98
    recipe.learning_rate.base = 0.01
    recipe.learning_rate.schedule = "cosine"
    recipe.learning_rate.milestones = ()
    if not is_smoke(form):
        recipe.update(steps=800, eval_every=400, batch_size=64)
        recipe.learning_rate.warmup_steps = 40
    return recipe
