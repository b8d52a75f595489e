"""The graph of a functional model, read from its public configuration."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras


@dataclass(frozen=True)
class Call:
    """One call of a layer.

    Attributes:
        inputs: names of the layers whose outputs it takes.
        shapes: of these outputs, with None for unknown sides.
        plain: whether it takes nothing else: no ``training=True``, no mask, no constant.
    """

    inputs: tuple[str, ...]
    shapes: tuple[tuple[int | None, ...], ...]
    plain: bool


@dataclass(frozen=True)
class Graph:
    """Who calls whom in a functional model.

    Attributes:
        calls: for each layer its calls within the model, in order; inputs have none.
        uses: how often each layer's output is taken, by a call or as an output of the model.
    """

    calls: dict[str, list[Call]]
    uses: Counter[str]


def read_graph(model: keras.Model) -> Graph:
    """Return the graph of ``model``.

    Raises:
        ValueError: the model is not functional (Sequential, subclassed), or contains a model.
    """
    config = _functional_config(model)
    calls = {
        layer["name"]: [_call(node) for node in layer["inbound_nodes"]]
        for layer in config["layers"]
    }
    uses = Counter(name for made in calls.values() for call in made for name in call.inputs)
    uses.update(_output_names(config["output_layers"]))
    return Graph(calls, uses)


def _functional_config(model: keras.Model) -> dict[str, Any]:
    if not isinstance(model, keras.Model):
        raise ValueError(f"`model` must be a functional keras.Model. Received: model={model!r}")
    try:
        config = model.get_config()
    except NotImplementedError:
        config = {}
    if "output_layers" not in config:
        raise ValueError(
            "`model` must be a functional keras.Model, whose layers and their connections can be "
            f"read. Received: {model.name!r}, a {type(model).__name__}"
        )
    nested = [layer.name for layer in model.layers if isinstance(layer, keras.Model)]
    if nested:
        raise ValueError(
            "`model` must not contain other models; build it flat, on `input_tensor`. "
            f"Received: {model.name!r}, which contains {', '.join(map(repr, nested))}"
        )
    return config


def _call(node: Mapping[str, Any]) -> Call:
    leaves = list(_leaves([node["args"], node["kwargs"]]))
    tensors = [leaf["config"] for leaf in leaves if _is_tensor(leaf)]
    others = [leaf for leaf in leaves if not _is_tensor(leaf)]
    return Call(
        inputs=tuple(tensor["keras_history"][0] for tensor in tensors),
        shapes=tuple(tuple(tensor["shape"]) for tensor in tensors),
        plain=all(other is None or other is False for other in others),
    )


def _is_tensor(value: Any) -> bool:
    return isinstance(value, Mapping) and value.get("class_name") == "__keras_tensor__"


def _leaves(value: Any) -> Iterator[Any]:
    if _is_tensor(value):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _leaves(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _leaves(item)
    else:
        yield value


def _output_names(outputs: Any) -> Iterator[str]:
    """Names in nested lists and dicts of ``[name, node index, tensor index]``."""
    if isinstance(outputs, Mapping):
        outputs = list(outputs.values())
    if isinstance(outputs, Sequence) and outputs and isinstance(outputs[0], str):
        yield outputs[0]
        return
    for output in outputs:
        yield from _output_names(output)
