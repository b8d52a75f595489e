r"""Office-Home as in the paper (Lee et al. 2019, section 4.2, Table 4).

One ResNet-18 for the four domains together, the ImageNet recipe with batches of 64, five folds,
accuracy by domain and over all.

    srm-keras cross_validate --config=office_home \
        --config.data.options.data_dir=FOLDER --workdir=runs/office_home

trains all folds; ``train`` with ``--config.data.fold=0`` trains one. The paper's average
top-1 in %: plain 55.47, SE 58.36, SRM 59.47. Not run here. The paper does not say how its folds
were drawn; these are stratified by class, over the domains together.

Data: FOLDER holds ``Art``, ``Clipart``, ``Product`` and ``Real World``; see docs/data.md.
"""

from ml_collections import ConfigDict, config_dict

from srm_keras.recipes import imagenet, on_made_up_images
from srm_keras.training import is_smoke


def get_config(form: str = "") -> ConfigDict:
    """The recipe; with form="smoke", one on made-up images that ends in seconds."""
    recipe = imagenet.get_config()

    recipe.data.name = "office_home"
    recipe.data.options = ConfigDict({"data_dir": config_dict.placeholder(str)})
    recipe.data.train_split = "all"
    recipe.data.eval_splits = ()
    recipe.data.folds = 5

    recipe.model.name = "resnet18"

    recipe.batch_size = 64
    epoch = 15_588 * 4 // 5 // recipe.batch_size
    recipe.steps = 90 * epoch
    recipe.eval_every = epoch
    recipe.checkpoint_every = 0
    recipe.learning_rate.milestones = (30 * epoch, 60 * epoch)

    if is_smoke(form):
        on_made_up_images(recipe, image_shape=(40, 48), classes=65, domains=4, examples=325)
        recipe.data.preprocessing.update(image_size=32, resize=36)
    return recipe
