"""What a recipe sets for the whole process: seeds, determinism, the dtype policy."""

import keras
from ml_collections import config_dict

from srm_keras.layers.dtype_policy import dtype_policy

__all__ = ["dtype_policy", "make_deterministic"]


def make_deterministic(recipe: config_dict.ConfigDict) -> None:
    """Seeds all generators and, where `recipe.deterministic`, fixes what operations compute."""
    keras.utils.set_random_seed(recipe.seed)
    if recipe.deterministic and keras.config.backend() == "tensorflow":
        import tensorflow as tf

        tf.config.experimental.enable_op_determinism()
