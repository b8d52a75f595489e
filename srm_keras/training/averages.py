"""Evaluating and saving the moving averages of the weights in place of the weights."""

import contextlib
from collections.abc import Iterator

import keras

from srm_keras.training.distribution.replicas import assign_local, local_values
from srm_keras.training.optimizer import SGDWithL2


@contextlib.contextmanager
def averaged_weights(learner: keras.Model, optimizer: SGDWithL2) -> Iterator[None]:
    """A context in which `learner` has the averages that `optimizer` keeps, if it keeps any.

    Afterwards the weights are to the bit what they were. Moving statistics of batch norm are
    averages already and stay.

    Args:
        learner: The model that `optimizer` trains.
        optimizer: Built; where its `ema_decay` is 0, nothing happens.
    """
    weights = learner.trainable_variables if optimizer.averages else []
    trained = [local_values(weight) for weight in weights]
    for weight, average in zip(weights, optimizer.averages, strict=True):
        assign_local(weight, local_values(average))
    try:
        yield
    finally:
        for weight, values in zip(weights, trained, strict=True):
            assign_local(weight, values)
