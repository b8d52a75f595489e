r"""An AdaIN stylizer (Huang and Belongie 2017), which paints in the style of any picture.

As the paper's section 6: Adam at 1e-4, batches of 8 pairs of MS-COCO photographs and paintings
(WikiArt), shorter side 512, crops of 256×256, VGG-19 to relu4_1, style weight 10. The paper's rate
falls as 1 / (1 + 5e-5 k); here it falls by the factor 0.1 at the milestones.

    srm-keras train_stylizer --config=adain \
        --config.content.options.data_dir=COCO --config.style.options.data_dir=PAINTINGS \
        --workdir=runs/adain

Its run feeds ``stylize_dataset``. Not run here: no COCO, no WikiArt, no ImageNet weights.
"""

from ml_collections import ConfigDict, config_dict

from srm_keras.recipes.style_transfer import smoke
from srm_keras.training import is_smoke
from srm_keras.training.stylization import default_recipe


def get_config(form: str = "") -> ConfigDict:
    """The recipe; with form="smoke", one on made-up images and features that ends in seconds."""
    recipe = default_recipe()
    recipe.method = "adain"
    recipe.content.options = ConfigDict({"data_dir": config_dict.placeholder(str)})
    recipe.content.image_size = 256
    recipe.content.resize = 512
    recipe.style.options = ConfigDict({"data_dir": config_dict.placeholder(str)})
    recipe.features.network = "vgg19"
    recipe.features.content_layer = "block4_conv1"

    recipe.batch_size = recipe.eval_batch_size = 8
    recipe.steps = 160_000
    recipe.eval_every = 2000
    recipe.learning_rate.base = 1e-4
    recipe.learning_rate.milestones = (80_000, 120_000)
    recipe.loss.style = 10.0

    if is_smoke(form):
        smoke(recipe)
        recipe.features.content_layer = "block1_conv2"
        recipe.learning_rate.milestones = ()
    return recipe
