"""What a run sets for the whole process: seeds, determinism, the dtype policy, its warnings."""

import contextlib
import logging
from collections.abc import Iterator

import keras
from ml_collections import config_dict

from srm_keras.layers.dtype_policy import dtype_policy

__all__ = ["dtype_policy", "make_deterministic", "new_networks_are_no_retracing"]


def make_deterministic(recipe: config_dict.ConfigDict) -> None:
    """Seeds all generators and, where `recipe.deterministic`, fixes what operations compute."""
    keras.utils.set_random_seed(recipe.seed)
    if recipe.deterministic and keras.config.backend() == "tensorflow":
        import tensorflow as tf

        tf.config.experimental.enable_op_determinism()


@contextlib.contextmanager
def new_networks_are_no_retracing() -> Iterator[None]:
    """Holds back TensorFlow's warning that a function is traced again and again.

    It counts by the line of Keras where `fit` and `predict` make their functions, so a few short
    runs in one process, or the networks that the end of a small run loads, look like one function
    that is retraced, while each is traced once.
    """
    logger = logging.getLogger("tensorflow")
    logger.addFilter(_is_of_something_else)
    try:
        yield
    finally:
        logger.removeFilter(_is_of_something_else)


def _is_of_something_else(record: logging.LogRecord) -> bool:
    return "triggered tf.function retracing" not in record.getMessage()
