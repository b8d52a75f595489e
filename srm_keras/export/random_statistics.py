"""Batch norm statistics for networks with random weights, as training would have given them."""

import keras
import numpy as np

from srm_keras.layers.batch_norm import MOMENTUM


def take_statistics(model: keras.Model, images: np.ndarray) -> None:
    """Set moving statistics to those of a batch: one step from zero takes 1 − momentum of them."""
    moving = [v for v in model.variables if v.name in ("moving_mean", "moving_variance")]
    for variable in moving:
        variable.assign(np.zeros(variable.shape))
    model(images, training=True)
    for variable in moving:
        variable.assign(variable / (1 - MOMENTUM))
