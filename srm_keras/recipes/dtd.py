r"""The Describable Textures Dataset as in the paper (Lee et al. 2019, section 4.2, Table 5).

Rebuffi et al. 2017's processing (shorter side 72, random 64×64 crops), the CIFAR recipe's optimizer
and schedule, bottleneck ResNets, the mean over five folds.

    srm-keras cross_validate --config=dtd \
        --config.data.options.data_dir=FOLDER --workdir=runs/dtd

trains all folds; ``train`` with ``--config.data.fold=0`` trains one. The paper's top-1 in %,
ResNet-32 / 56 (``--config.model.options.depth=56``): plain 44.96 / 45.46, SE 45.20 / 48.63,
SRM 46.50 / 50.44. Not run here. The paper does not say how its folds were drawn; these are five
stratified parts of all 5,640 images. The archive's own partitions, two thirds to train on and one
to test on, are had with ``--config.data.folds=0 --config.data.train_split=trainval
--config.data.eval_splits="('test',)" --config.data.options.fold=1`` (… 10).

Data: FOLDER is the archive's ``dtd``; see docs/data.md.
"""

from ml_collections import ConfigDict, config_dict

from srm_keras.recipes import cifar10, on_made_up_images
from srm_keras.training import is_smoke


def get_config(form: str = "") -> ConfigDict:
    """The recipe; with form="smoke", one on made-up images that ends in seconds."""
    recipe = cifar10.get_config()

    recipe.data.name = "dtd"
    recipe.data.options = ConfigDict({"data_dir": config_dict.placeholder(str), "fold": 1})
    recipe.data.train_split = "all"
    recipe.data.eval_splits = ()
    recipe.data.folds = 5
    recipe.data.cache = True
    recipe.data.preprocessing = ConfigDict({"image_size": 64, "resize": 72, "flip": True})

    recipe.model.options.depth = 32

    if is_smoke(form):
        on_made_up_images(recipe, image_shape=(80, 96), classes=47, examples=235)
        recipe.model.options.depth = 8
    return recipe
