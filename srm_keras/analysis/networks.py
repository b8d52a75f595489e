"""What the analyses ask of any network: that it is a graph, and what the graph is."""

from collections.abc import Iterator, Sequence
from typing import Any

import keras


def check_functional(model: Any) -> None:
    """Raise ``ValueError`` unless ``model`` is a functional model."""
    if not isinstance(model, keras.Function):
        raise ValueError(
            "`model` must be a functional keras.Model. "
            f"Received: {getattr(model, 'name', model)!r} of class {type(model).__name__}"
        )


def data_format_of(model: keras.Model) -> str:
    """Return the data format of the first layer that has one, else Keras' global setting."""
    formats = (getattr(layer, "data_format", None) for layer in model.layers)
    return next(filter(None, formats), keras.config.image_data_format())


def single_calls(model: keras.Model) -> Iterator[tuple[Any, list[Any], list[Any]]]:
    """Yield each layer or operation with the tensors it takes and gives, inputs before outputs.

    Raises:
        ValueError: a layer is called twice: then ``layer.input`` and ``layer.output`` do not tell
            all of the graph.
    """
    known = {id(tensor) for tensor in model.inputs}
    for operation in model.operations:
        if isinstance(operation, keras.layers.InputLayer):
            continue
        inputs, outputs = map(keras.tree.flatten, (operation.input, operation.output))
        _check(model, inputs, known)
        known |= {id(tensor) for tensor in outputs}
        yield operation, inputs, outputs
    _check(model, model.outputs, known)


def _check(model: keras.Model, tensors: Sequence[Any], known: set[int]) -> None:
    for tensor in tensors:
        if id(tensor) not in known:
            raise ValueError(
                "`model` must call each of its layers once, and before any other model does. "
                f"Received: {model.name!r}, in which a tensor {tensor.name!r} comes from a later "
                "call of a shared layer"
            )
