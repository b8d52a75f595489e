r"""EfficientNetB0 of ``keras.applications`` with modules put in, on an image folder of yours.

What is to be recognized is seldom ImageNet, and the network is seldom a ResNet: here modules are
compared where they are used. The network begins with the weights of ImageNet, which Keras fetches
once, and keeps in ``~/.keras/models``:

    srm-keras train --config=efficientnet --config.data.options.data_dir=FOLDER \
        --config.init=imagenet --config.recalibration=srm --workdir=runs/efficientnet_srm

FOLDER holds ``train/`` and ``test/``, each with a folder of JPEG or PNG images for every class.
Modules go to the ends of the blocks and start neutral, so that the network computes at step 0 what
it computed before. ``--config.model.where=existing_se`` puts them in the place of EfficientNet's
own squeeze-and-excitation instead: these begin anew, and what is behind them has to get used to
it. ``--config.freeze="('backbone',)"`` trains the modules and the classifier alone (docs/
fine_tuning.md). Which module is the better one is asked with

    srm-keras cross_validate --config=efficientnet --config.data.options.data_dir=FOLDER \
        --config.init=imagenet --config.data.folds=5 --recalibrations=none,se,srm \
        --workdir=runs/efficientnet_folds

Any other network of ``keras.applications``, or a ``.keras`` file, takes its place by
``--config.model.name=…``; standardization follows the network. Without ``init`` all weights are
random: such a training wants more updates and a higher rate. Only the smoke form, which begins so,
was run here.
"""

from ml_collections import ConfigDict, config_dict

from srm_keras.recipes import on_made_up_images
from srm_keras.training import default_recipe, is_smoke


def get_config(form: str = "") -> ConfigDict:
    """The recipe; with form="smoke", one on small made-up images that ends in under a minute."""
    recipe = default_recipe()

    recipe.data.name = "image_folder"
    recipe.data.options = ConfigDict({"data_dir": config_dict.placeholder(str)})
    recipe.data.preprocessing = ConfigDict(
        {"image_size": 224, "resize": 256, "crop_scale": (0.25, 1.0), "flip": True}
    )

    recipe.model.name = "EfficientNetB0"
    recipe.model.neutral = True

    recipe.steps = 2000
    recipe.eval_every = 250
    recipe.batch_size = 64
    recipe.learning_rate.base = 0.01
    recipe.learning_rate.schedule = "cosine"
    recipe.learning_rate.warmup_steps = 100

    if is_smoke(form):
        on_made_up_images(recipe, image_shape=48, classes=4, examples=16)
        recipe.data.preprocessing.update(image_size=48, resize=48)
        recipe.learning_rate.warmup_steps = 1
    return recipe
