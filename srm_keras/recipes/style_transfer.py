r"""Style transfer as in the paper (Lee et al. 2019, section 4.3, Figures 4 and 5).

The defaults of PyTorch's example fast_neural_style (Johnson et al. 2016): Adam at 1e-3, two epochs
of batches of 4 of MS-COCO, 256×256 crops of images whose shorter side is 256.

    srm-keras train_stylizer --config=style_transfer \
        --config.content.options.data_dir=COCO --config.style.image=painting.jpg \
        --config.normalization=batch --config.recalibration=srm --workdir=runs/painting_srm

The four networks of the paper: ``normalization=instance``, ``batch``, and ``batch`` with
``recalibration=se`` and ``srm``; ``compare_stylizers`` trains them all. The example's weights of
the losses, 1e5 and 1e10, are for features of standardized images. Keras' VGG-16 takes 0 to 255, and
its features are larger by about as much, their mean squares by the square of it and those of Gram
matrices by the fourth power. Not run here: no COCO, no ImageNet weights.

Any other images: ``--config.content.name=image_files --config.content.options.data_dir=FOLDER
--config.content.eval_split=test``.
"""

from ml_collections import ConfigDict, config_dict

from srm_keras.training import is_smoke
from srm_keras.training.stylization import default_recipe


def get_config(form: str = "") -> ConfigDict:
    """The recipe; with form="smoke", one on made-up images and features that ends in seconds."""
    recipe = default_recipe()
    recipe.content.name = "coco"
    recipe.content.options = ConfigDict({"data_dir": config_dict.placeholder(str)})
    recipe.content.image_size = 256
    recipe.content.resize = 256

    recipe.batch_size = 4
    recipe.steps = 2 * 118_287 // recipe.batch_size // 1000 * 1000
    recipe.eval_every = 1000
    recipe.learning_rate.base = 1e-3
    scale = 255 * 0.226  # pixels in one standard deviation of ImageNet's
    recipe.loss.content = 1e5 / scale**2
    recipe.loss.style = 1e10 / scale**4

    if is_smoke(form):
        smoke(recipe)
        recipe.network.filters = 4
        recipe.network.blocks = 1
        recipe.style.image_size = 32
        recipe.features.style_layers = ("block1_conv1", "block2_conv1")
        recipe.features.content_layer = "block2_conv1"
    return recipe


def smoke(recipe: ConfigDict) -> None:
    """Makes a stylization recipe one that needs no files: embedded images, random features."""
    options = {"size": 32, "train_examples": 20, "test_examples": 20}
    for images in (recipe.content, recipe.style):
        images.name = "texture_shapes"
        images.options = ConfigDict(options)
    recipe.content.eval_split = recipe.style.split = "test"
    recipe.content.image_size = 32
    recipe.content.resize = None
    recipe.content.eval_images = 4
    recipe.features.weights = None
    recipe.update(steps=2, eval_every=2)
