r"""Stylized-ImageNet as in the paper (Lee et al. 2019, section 4.2, Table 3).

The ImageNet recipe on the stylized images, evaluated on these (split ``val``) and on the originals
(``imagenet_val``).

    srm-keras train --config=stylized_imagenet \
        --config.data.options.data_dir=STYLIZED --config.data.options.imagenet_dir=IMAGENET \
        --config.strategy=mirrored --config.recalibration=srm --workdir=runs/stylized_imagenet_srm

The paper's top-1 in %, Stylized-ImageNet / ImageNet: plain 53.93 / 56.11, SE 58.31 / 60.15,
SRM 60.69 / 62.12, on 8 GPUs. Not run here.

``stylized_imagenet:desk`` is the same question at the size of a desk, for any stylized copy of
class folders: a basic-block ResNet-8 on 64×64 crops of images whose shorter side is 72, and modules
that start neutral, as in the recipe textures. What it gave on textures of games is in
docs/results/style_transfer.md.

Data: STYLIZED and IMAGENET each hold ``train/<wnid>/`` and ``val/<wnid>/``; see docs/data.md.
"""

from ml_collections import ConfigDict, config_dict

from srm_keras.recipes import imagenet, textures
from srm_keras.training import is_smoke


def get_config(form: str = "") -> ConfigDict:
    """The recipe; smoke: on made-up images, in under a minute; desk: a small network."""
    if form == "desk":
        recipe = textures.get_config()
        recipe.data.options = ConfigDict({"data_dir": config_dict.placeholder(str)})
        recipe.model.options = ConfigDict({"depth": 8, "block": "basic"})
        recipe.update(steps=400, eval_every=100, batch_size=64)
        recipe.learning_rate.base = 0.05
        recipe.learning_rate.milestones = (200, 300)
    else:
        recipe = imagenet.get_config(form)
    recipe.data.eval_splits = ("val", "imagenet_val")
    if form == "desk" or not is_smoke(form):
        recipe.data.name = "stylized_imagenet"
        recipe.data.options.imagenet_dir = config_dict.placeholder(str)
    return recipe
