"""Training on one device, on several, and on several machines."""

from srm_keras.training.distribution.replicas import (
    Learner,
    assign_local,
    batch_norms,
    inference_state,
    local_values,
    running_loss,
    set_synchronized,
)
from srm_keras.training.distribution.strategies import STRATEGIES, Distribution, resolve_strategy

__all__ = [
    "STRATEGIES",
    "Distribution",
    "Learner",
    "assign_local",
    "batch_norms",
    "inference_state",
    "local_values",
    "resolve_strategy",
    "running_loss",
    "set_synchronized",
]
