"""What a recipe sets for the whole process: seeds, determinism, the dtype policy."""

import contextlib
from collections.abc import Iterator

import keras
from ml_collections import config_dict


def make_deterministic(recipe: config_dict.ConfigDict) -> None:
    """Seeds all generators and, where `recipe.deterministic`, fixes what operations compute."""
    keras.utils.set_random_seed(recipe.seed)
    if recipe.deterministic and keras.config.backend() == "tensorflow":
        import tensorflow as tf

        tf.config.experimental.enable_op_determinism()


@contextlib.contextmanager
def dtype_policy(name: str) -> Iterator[None]:
    """A context in which new layers have the dtype policy `name`."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)
