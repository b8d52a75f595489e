r"""The paper's ablations (Lee et al. 2019, section 5.1): how style is pooled, how it is integrated.

ResNet-50 on ImageNet by the ImageNet recipe, with the variants of SRM of tables 6 and 7:

    srm-keras cross_validate --config=ablations --config.strategy=mirrored \
        --config.data.options.data_dir=FOLDER --workdir=runs/ablations

trains all of them on each of five folds of the training images, and evaluates on the held-out fold
and on ``val``. The paper trained on all training images; that is a ``train`` for each variant:

    srm-keras train --config=ablations --config.strategy=mirrored \
        --config.data.options.data_dir=FOLDER --workdir=runs/ablations_avg \
        --config.recalibration="{'name': 'srm', 'pooling': ['avg']}"

The paper's top-1 in %: plain 75.89, average 76.58, deviation 76.61, maximum 75.87, average and
maximum 76.35; MLP 76.75, MLP and batch norm 76.68, CFC 76.91; SRM 77.13. Not run here.

``--config=ablations:desk`` is the same by the texture_shapes recipe, which needs no
download and no accelerator, with bottleneck blocks as in ResNet-50: their 64 channels and more give
the MLP 4 hidden units and more, where basic blocks would give it one. Like that recipe, and other
than the paper, it starts modules neutral.

    srm-keras cross_validate --config=ablations:desk --folds=2 \
        --workdir=runs/ablations_desk
"""

from ml_collections import ConfigDict

from srm_keras.recipes import imagenet, texture_shapes
from srm_keras.training import is_smoke

# The first is what the others are compared with.
RECALIBRATIONS = {
    "none": None,
    "srm": "srm",
    # Table 6: pooling.
    "avg": {"name": "srm", "pooling": ["avg"]},
    "std": {"name": "srm", "pooling": ["std"]},
    "max": {"name": "srm", "pooling": ["max"]},
    "avg_max": {"name": "srm", "pooling": ["avg", "max"]},
    # Table 7: integration.
    "mlp": {"name": "srm", "integration": "mlp", "batch_norm": False},
    "mlp_bn": {"name": "srm", "integration": "mlp"},
    "cfc": {"name": "srm", "batch_norm": False},
}


def get_config(form: str = "") -> ConfigDict:
    """The recipe; form="desk": on texture_shapes; form="smoke": there too, and ends in seconds."""
    if form == "desk":
        recipe = texture_shapes.get_config()
        recipe.model.options.block = "bottleneck"
        return recipe
    return texture_shapes.get_config(form) if is_smoke(form) else imagenet.get_config(form)
