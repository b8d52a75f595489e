"""Training on one device, on several, and on several machines."""

from srm_keras.training.distribution.devices import Distribution
from srm_keras.training.distribution.learner import Learner
from srm_keras.training.distribution.replicas import (
    assign_local,
    batch_norms,
    inference_state,
    local_values,
    set_synchronized,
)
from srm_keras.training.distribution.strategies import STRATEGIES, resolve_strategy

__all__ = [
    "STRATEGIES",
    "Distribution",
    "Learner",
    "assign_local",
    "batch_norms",
    "inference_state",
    "local_values",
    "resolve_strategy",
    "set_synchronized",
]
