"""A stylization that takes seconds: embedded images, random features, a small network."""

from srm_keras.training.stylization import default_recipe

STEPS, EVAL_EVERY = 6, 3
OPTIONS = {"size": 16, "train_examples": 20, "test_examples": 20}


def tiny_recipe(**fields):
    """Batches of 2, an evaluation every 3 of 6 steps, a checkpoint every 2."""
    recipe = default_recipe()
    recipe.update(steps=STEPS, eval_every=EVAL_EVERY, checkpoint_every=2)
    recipe.batch_size = recipe.eval_batch_size = 2
    recipe.network.update(filters=4, blocks=1)
    recipe.content.update(name="texture_shapes", options=OPTIONS, eval_split="test")
    recipe.content.update(image_size=16, eval_images=3, flip=True)
    recipe.style.update(name="texture_shapes", options=OPTIONS, split="test")
    recipe.features.update(weights=None, content_layer="block1_conv2")
    recipe.features.style_layers = ("block1_conv1", "block1_conv2")
    recipe.samples = 2
    with recipe.unlocked():
        for path, value in fields.items():
            recipe.update_from_flattened_dict({path.replace("__", "."): value})
    return recipe
