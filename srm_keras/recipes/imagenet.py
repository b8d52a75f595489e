r"""ImageNet-1K as in the paper (Lee et al. 2019, section 4.1, Table 1).

Random resized 224×224 crops and mirroring; evaluation on the middle 224×224 of images whose shorter
side is 256. SGD with momentum 0.9 and weight decay 1e-4, batches of 256, 90 epochs; the rate is 0.1
and falls to a tenth every 30 epochs.

    srm-keras train --config=imagenet --config.strategy=mirrored \
        --config.data.options.data_dir=FOLDER --config.recalibration=srm --workdir=runs/imagenet_srm

ResNet-101: ``--config.model.name=resnet101``. The paper's top-1 in %, ResNet-50 / 101: plain
75.89 / 77.40, SE 76.80 / 78.08, GE 76.75 / 77.36, SRM 77.13 / 78.47, on 8 GPUs. Not run here.

Data: FOLDER holds ``train/<wnid>/`` and ``val/<wnid>/``, or ``imagenet2012`` as TFDS prepares it
with ``file_format="array_record"``; see docs/data.md.
"""

from ml_collections import ConfigDict, config_dict

from srm_keras.recipes import on_made_up_images
from srm_keras.training import default_recipe, is_smoke


def get_config(form: str = "") -> ConfigDict:
    """The recipe; with form="smoke", one on made-up images that ends in under a minute."""
    recipe = default_recipe()

    recipe.data.name = "imagenet"
    recipe.data.options = ConfigDict({"data_dir": config_dict.placeholder(str)})
    recipe.data.eval_splits = ("val",)
    recipe.data.preprocessing = ConfigDict(
        {
            "image_size": 224,
            "crop_scale": (0.08, 1.0),
            "crop_ratio": (3 / 4, 4 / 3),
            "flip": True,
            "resize": 256,
            "mean": (0.485, 0.456, 0.406),
            "std": (0.229, 0.224, 0.225),
        }
    )

    recipe.model.name = "resnet50"

    recipe.batch_size = 256
    epoch = 1_281_167 // recipe.batch_size
    recipe.steps = 90 * epoch
    recipe.eval_every = epoch
    recipe.checkpoint_every = 1_000
    recipe.optimizer.momentum = 0.9
    recipe.optimizer.weight_decay = 1e-4
    recipe.learning_rate.base = 0.1
    recipe.learning_rate.milestones = (30 * epoch, 60 * epoch)

    if is_smoke(form):
        on_made_up_images(recipe, image_shape=(250, 300), classes=1000, examples=4)
        recipe.model.name = "resnet18"  # ResNet-50 takes minutes to trace on two busy cores
        recipe.update(steps=1, eval_every=1, checkpoint_every=0, batch_size=2, eval_batch_size=4)
    return recipe
