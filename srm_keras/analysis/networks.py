"""What the analyses ask of any network: that it is a graph, and what the graph is."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import keras

from srm_keras.models.surgery.functional import all_layers, copied, is_functional

Shape = tuple[int, ...]


def inputs_of(model: keras.Model) -> Any:
    """What a functional or built Sequential model takes, symbolic and in its own structure."""
    return model.inputs[0] if isinstance(model, keras.Sequential) else model.input


def data_format_of(model: keras.Model) -> str:
    """Return the data format of the first layer that has one, else Keras' global setting."""
    formats = (getattr(layer, "data_format", None) for layer in all_layers(model))
    return next(filter(None, formats), keras.config.image_data_format())


@dataclass(frozen=True)
class StaticCall:
    """One call of a layer or operation, all shapes of which are known.

    Attributes:
        path: Its name, behind the names of the inner models that it stands in.
        layer: The layer or operation.
        args: What it is called with by position, symbolic.
        inputs: Shapes of all tensors that it takes.
        outputs: Shapes of those that it gives.
    """

    path: str
    layer: Any
    args: tuple[Any, ...]
    inputs: list[Shape]
    outputs: list[Shape]


def static_calls(model: keras.Model, shapes: Sequence[Shape], path: str = "") -> list[StaticCall]:
    """Return every call within ``model``, those of inner models in their place, in order.

    Args:
        model: A functional or a built Sequential model.
        shapes: Of its inputs, batch axis first, without None.
        path: What stands before the names.

    Raises:
        ValueError: A layer cannot take its input of that shape.
    """
    calls: list[StaticCall] = []

    def call(layer: Any, *args: Any, **kwargs: Any) -> Any:
        name, inputs = f"{path}{layer.name}", _shapes((args, kwargs))
        try:
            result = layer(*args, **kwargs)
        except ValueError as error:
            reason = str(error).strip().splitlines()[0]
            raise ValueError(
                "`input_shape` must be one that every layer can take. Received: inputs of "
                f"{inputs} for {name!r}, where Keras says: {reason}"
            ) from error
        if is_functional(layer):
            calls.extend(static_calls(layer, inputs, f"{name}/"))
        else:
            calls.append(StaticCall(name, layer, args, inputs, _shapes(result)))
        return result

    inputs = [
        keras.Input(batch_shape=shape, dtype=x.dtype, name=x.name)
        for shape, x in zip(shapes, model.inputs, strict=True)
    ]
    structure = keras.tree.pack_sequence_as(inputs_of(model), inputs)
    copied(model, lambda layer: layer, call, structure)
    return calls


def _shapes(tensors: Any) -> list[Shape]:
    leaves = filter(keras.utils.is_keras_tensor, keras.tree.flatten(tensors))
    return [tuple(leaf.shape) for leaf in leaves]


def single_calls(model: keras.Model) -> Iterator[tuple[Any, list[Any], list[Any]]]:
    """Yield each layer or operation with the tensors it takes and gives, inputs before outputs.

    Raises:
        ValueError: A layer is called twice: then ``layer.input`` and ``layer.output`` do not tell
            all of the graph.
    """
    known = {id(tensor) for tensor in model.inputs}
    sequential = isinstance(model, keras.Sequential)
    graph = keras.Model(model.inputs, model.outputs) if sequential else model
    for operation in graph.operations:
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
