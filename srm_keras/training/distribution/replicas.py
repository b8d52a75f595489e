"""What each local replica holds of a variable, read and written back bit for bit.

Under TensorFlow's mirrored strategies a variable has one component a replica. Components may
differ: the moving averages of a batch norm that is not synchronized do, and so do metrics,
which are summed only when they are read. `variable.numpy()` shows one of them, or their sum;
here each is its own.
"""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np


def local_values(variable: keras.Variable) -> list[np.ndarray]:
    """The value of `variable` on each replica of this process.

    Args:
        variable: A built Keras variable of a model, an optimizer, a metric or a seed generator.

    Returns:
        One array of the variable's shape and dtype a local replica, in the order of the replicas;
        copies, which later assignments leave alone.
        One array where the variable is not distributed, and on JAX, whose distributed arrays are
        one array whatever the number of devices.
    """
    if keras.config.backend() == "tensorflow":
        return [component.numpy() for component in _components(variable)]
    return [keras.ops.convert_to_numpy(variable)]


def assign_local(variable: keras.Variable, values: Sequence[np.ndarray]) -> None:
    """Writes one value to each local replica; the inverse of `local_values`.

    Args:
        variable: As for `local_values`.
        values: One array of the variable's shape a local replica.

    Raises:
        ValueError: If the number of values is not that of the local replicas, or a shape differs.
    """
    components = _components(variable)
    if len(values) != len(components):
        raise ValueError(
            f"`values` must hold one value for each of the {len(components)} local replicas of "
            f"{variable.path!r}. Received: {len(values)} values"
        )
    shape = tuple(variable.shape)
    for value in values:
        if np.shape(value) != shape:
            raise ValueError(
                f"`values` must have the shape {shape} of {variable.path!r}. "
                f"Received: a value of shape {np.shape(value)}"
            )
    for component, value in zip(components, values, strict=True):
        component.assign(value)


def _components(variable: keras.Variable) -> Sequence[Any]:
    """What can be read and assigned on each local replica."""
    if keras.config.backend() != "tensorflow":
        return [variable]
    native = variable.value
    strategy = getattr(native, "distribute_strategy", None)
    return [native] if strategy is None else strategy.experimental_local_results(native)
