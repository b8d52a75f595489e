r"""An image folder of textures: 72×72 colour patches, one folder a class.

After the paper's DTD recipe (Lee et al. 2019, section 4.2, with the data processing of Rebuffi et
al. 2017: shorter side 72, random 64×64 crop and flip, centre crop in evaluation; the schedule is
the CIFAR one) on a bottleneck ResNet. Modules start neutral, other than in the paper: gates near ½
halve every residual branch in the beginning, which a short training does not make up for.

    srm-keras train --config=textures \
        --config.data.options.data_dir=FOLDER --config.recalibration=srm --workdir=runs/textures_srm

A shorter run with the numbers it gave is in docs/results/training.md.

FOLDER holds ``train/`` and ``test/``, each with a folder of JPEG or PNG images for every class.
Where the files are called ``<domain>_<group>_<k>.jpg``, cross-validation that keeps groups together
and reports every domain is

    srm-keras cross_validate --config=textures \
        --config.data.options.data_dir=FOLDER --config.data.folds=5 --config.data.fold_by=group \
        --config.data.options.domain_pattern='^([^_]+)_' \
        --config.data.options.group_pattern='_([^_]+)_[^_]+$' --workdir=runs/textures_folds
"""

from ml_collections import ConfigDict, config_dict

from srm_keras.recipes import on_made_up_images
from srm_keras.training import default_recipe, is_smoke


def get_config(form: str = "") -> ConfigDict:
    """The recipe; with form="smoke", one on made-up images that ends in seconds."""
    recipe = default_recipe()

    recipe.data.name = "image_folder"
    recipe.data.options = ConfigDict(
        {
            "data_dir": config_dict.placeholder(str),
            "domain_pattern": config_dict.placeholder(str),
            "group_pattern": config_dict.placeholder(str),
        }
    )
    recipe.data.preprocessing = ConfigDict({"image_size": 64, "resize": 72, "flip": True})
    recipe.data.cache = True

    recipe.model.name = "cifar_resnet"
    recipe.model.options = ConfigDict({"depth": 32, "block": "bottleneck"})
    recipe.model.neutral = True

    recipe.steps = 4000
    recipe.eval_every = 250
    recipe.batch_size = 128
    recipe.learning_rate.base = 0.1
    recipe.learning_rate.milestones = (recipe.steps // 2, recipe.steps * 3 // 4)

    if is_smoke(form):
        on_made_up_images(recipe, image_shape=72, classes=24, domains=3, groups=24, examples=48)
        recipe.model.options.depth = 8
    return recipe
