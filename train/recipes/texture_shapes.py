r"""texture_shapes: the data set that the package draws itself; no download.

After the paper's CIFAR recipe (Lee et al. 2019, section 4.1: SGD with momentum 0.9 and weight
decay 1e-4, learning rate divided by 10 after 1/2 and 3/4 of the iterations, "pad 4, random crop
32, flip"), on a small basic-block ResNet. No flip: it changes nothing that the network needs to
learn here, and no shape's name.

    python -m train.classify --config=train/recipes/texture_shapes.py \
        --config.recalibration=srm --workdir=runs/texture_shapes_srm
"""

from ml_collections import ConfigDict

from srm_keras.training import default_recipe, is_smoke


def get_config(form: str = "") -> ConfigDict:
    """The recipe; with form="smoke", one that ends in seconds."""
    recipe = default_recipe()

    recipe.data.name = "texture_shapes"
    recipe.data.options = ConfigDict({"label": "shape", "train_examples": 20_000})
    recipe.data.eval_splits = ("test", "test_unseen_style", "cue_conflict")
    recipe.data.preprocessing = ConfigDict({"image_size": 32, "pad": 4, "flip": True})

    recipe.model.name = "cifar_resnet"
    recipe.model.options = ConfigDict({"depth": 8, "block": "basic"})

    recipe.steps = 600
    recipe.eval_every = 100
    recipe.batch_size = 128
    recipe.optimizer.weight_decay = 1e-4
    recipe.learning_rate.base = 0.1
    recipe.learning_rate.milestones = (recipe.steps // 2, recipe.steps * 3 // 4)

    if is_smoke(form):
        recipe.data.options.update(train_examples=64, test_examples=32)
        recipe.update(steps=4, eval_every=2, batch_size=16)
        recipe.learning_rate.milestones = (2, 3)
    return recipe
