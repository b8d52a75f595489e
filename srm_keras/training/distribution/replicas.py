"""What each replica holds: batch norm statistics, and variables read and written bit for bit.

Under TensorFlow's mirrored strategies a variable has one component a replica. Components may
differ: the moving averages of a batch norm that is not synchronized do, and so do metrics,
which are summed only when they are read. ``variable.numpy()`` shows one of them, or their sum;
here each is its own.

A synchronized batch norm takes its moments over the whole global batch; a local one over the
examples of its own replica. With local ones the moving averages of the replicas differ. The
network that is evaluated and saved is the one whose moving averages are the mean over replicas.
"""

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import keras
import numpy as np


def local_values(variable: keras.Variable) -> list[np.ndarray]:
    """The value of ``variable`` on each replica of this process.

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
    """Writes one value to each local replica; the inverse of ``local_values``.

    Args:
        variable: As for ``local_values``.
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


def batch_norms(model: keras.Model) -> list[keras.layers.BatchNormalization]:
    """Every batch norm of ``model``, also inside nested models and recalibration layers."""
    return [
        layer for layer in sublayers(model) if isinstance(layer, keras.layers.BatchNormalization)
    ]


def set_synchronized(model: keras.Model, synchronized: bool) -> None:
    """Makes all batch norms of ``model`` synchronized or local; before the first training step.

    It is the public attribute ``layer.synchronized``, which decides when the step is traced. On
    other backends than TensorFlow there is nothing to decide and nothing is done: JAX computes
    the moments over the global batch whatever the devices, and torch trains on one device.
    """
    if keras.config.backend() == "tensorflow":
        for layer in batch_norms(model):
            layer.synchronized = synchronized


@contextlib.contextmanager
def inference_state(model: keras.Model) -> Iterator[keras.Model]:
    """``model`` as it is evaluated and saved; inside of it, do not train.

    Inside, the moving averages are the mean over the local replicas (computed in float64), and no
    batch norm says ``synchronized=True``, so that the file that is saved loads on every backend.
    Afterwards every replica has its own moving averages again, bit for bit.

    Example:
        >>> with inference_state(model):
        ...     model.save("last.keras")
    """
    layers = batch_norms(model)
    synchronized = [layer.synchronized for layer in layers]
    variables = [variable for layer in layers for variable in layer.non_trainable_variables]
    own = {variable.path: (variable, local_values(variable)) for variable in variables}
    own = {path: (v, values) for path, (v, values) in own.items() if _differ(values)}
    try:
        for variable, values in own.values():
            mean = np.mean(values, axis=0, dtype="float64").astype(values[0].dtype)
            assign_local(variable, [mean] * len(values))
        for layer in layers:
            layer.synchronized = False
        yield model
    finally:
        for layer, flag in zip(layers, synchronized, strict=True):
            layer.synchronized = flag
        for variable, values in own.values():
            assign_local(variable, values)


def _differ(values: list[np.ndarray]) -> bool:
    return any(not np.array_equal(values[0], value) for value in values[1:])


def sublayers(layer: keras.Layer) -> Iterator[keras.Layer]:
    """``layer`` and every layer below it, each once."""
    seen: set[int] = set()
    waiting: list[object] = [layer]
    while waiting:
        item = waiting.pop()
        if isinstance(item, list | tuple):
            waiting.extend(item)
        elif isinstance(item, dict):
            waiting.extend(item.values())
        elif isinstance(item, keras.Layer) and id(item) not in seen:
            seen.add(id(item))
            yield item
            waiting.extend(item.layers if isinstance(item, keras.Model) else ())
            waiting.extend(vars(item).values())
