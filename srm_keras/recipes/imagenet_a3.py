r"""ImageNet-1K by the short procedure of "ResNet strikes back" (Wightman et al. 2021, Table 2, A3).

LAMB at 8e-3 for batches of 2048 (gradients clipped to the norm 1, as timm's does by itself), decay
0.02 of all but norms and biases, cosine after 5 of 100 epochs of warm-up, binary cross-entropy,
RandAugment, MixUp 0.1 and CutMix 1.0, random resized crops of 160 pixels, mixed precision. The same
updates on devices with less memory: ``--config.accumulation_steps=4``.

    srm-keras train --config=imagenet_a3 --config.strategy=mirrored \
        --config.data.options.data_dir=FOLDER --config.recalibration=srm --workdir=runs/a3_srm

They got 78.1 % top-1 with a plain ResNet-50, tested on 224 pixels. Not run here. What differs:
evaluation is on the 160 pixels of training; a mixed image's labels are its two weights, not 1 for
each above 0.2; the strength of RandAugment is 0.6 for every image, not drawn around it, and an
image takes MixUp or CutMix by its own draw, not by its batch's.

Modules start neutral: 100 epochs are short, and gates near ½ halve every residual branch.
Data: as for the recipe ``imagenet``.
"""

from ml_collections import ConfigDict

from srm_keras.recipes import imagenet
from srm_keras.training import is_smoke


def get_config(form: str = "") -> ConfigDict:
    """The recipe; with form="smoke", one on made-up images that ends in under a minute."""
    recipe = imagenet.get_config(form)
    recipe.data.preprocessing.update(image_size=160, resize=168)
    recipe.data.augmentation = ConfigDict(
        {"rand_augment": 2, "magnitude": 0.6, "mixup": 0.1, "cutmix": 1.0}
    )
    recipe.model.neutral = True
    recipe.loss = "binary_crossentropy"
    recipe.dtype_policy = "mixed_bfloat16"
    recipe.optimizer.name = "lamb"
    recipe.optimizer.weight_decay = 0.02
    recipe.optimizer.exclude_from_decay = ("norms", "biases")
    recipe.optimizer.clip_norm = 1.0
    recipe.learning_rate.base = 8e-3
    recipe.learning_rate.schedule = "cosine"
    recipe.learning_rate.milestones = ()
    if not is_smoke(form):
        recipe.batch_size = 2048
        epoch = 1_281_167 // recipe.batch_size
        recipe.update(steps=100 * epoch, eval_every=epoch, checkpoint_every=0)
        recipe.learning_rate.warmup_steps = 5 * epoch
    return recipe
