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
        readers: for each layer the names of the layers that take its output.
    """

    calls: dict[str, list[Call]]
    uses: Counter[str]
    readers: dict[str, list[str]]


def read_graph(model: keras.Model) -> Graph:
    """Return the graph of ``model``, a plain functional model as ``flatten`` makes it.

    Raises:
        ValueError: a layer has no configuration.
    """
    try:
        config = model.get_config()
    except NotImplementedError as error:
        raise no_configuration(model.name, error) from None
    calls = {
        layer["name"]: [_call(node) for node in layer["inbound_nodes"]]
        for layer in config["layers"]
    }
    readers: dict[str, list[str]] = {name: [] for name in calls}
    for reader, made in calls.items():
        for name in (name for call in made for name in call.inputs):
            readers[name].append(reader)
    uses = Counter({name: len(names) for name, names in readers.items()})
    uses.update(_output_names(config["output_layers"]))
    return Graph(calls, uses, readers)


def no_configuration(name: str, error: Exception) -> ValueError:
    """The error to raise where a layer cannot be made from its configuration."""
    paragraph = " ".join(str(error).strip().split("\n\n")[0].split())
    return ValueError(
        "`model` must have layers that can be made from their configuration (get_config, "
        f"from_config). Received: {name!r}, where Keras says: {paragraph}"
    )


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
