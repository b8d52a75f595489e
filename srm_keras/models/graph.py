"""The graph of a functional model, read from its public configuration."""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras

from srm_keras.models.functional import functional_class, no_configuration

Node = tuple[str, int]
"""Name of a layer, and which of its calls, from 0."""


@dataclass(frozen=True)
class Call:
    """One call of a layer.

    Attributes:
        sources: the calls of other layers whose outputs it takes; ``(name, 0)`` for inputs.
        shapes: of these outputs, with None for unknown sides.
        plain: whether it takes nothing else: no ``training=True``, no mask, no constant.
    """

    sources: tuple[Node, ...]
    shapes: tuple[tuple[int | None, ...], ...]
    plain: bool

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the layers whose outputs it takes."""
        return tuple(name for name, _ in self.sources)


@dataclass(frozen=True)
class Graph:
    """Who calls whom in a functional model.

    Attributes:
        calls: for each layer its calls within the model, in order; inputs have none.
        classes: for each layer the name of its class.
        outputs: the calls whose outputs are those of the model.
        uses: how often each layer's output is taken, by a call or as an output of the model.
        readers: for each layer the names of the layers that take its output.
    """

    calls: dict[str, list[Call]]
    classes: dict[str, str]
    outputs: tuple[Node, ...]
    uses: Counter[str]
    readers: dict[str, list[str]]


def read_graph(model: keras.Model) -> Graph:
    """Return the graph of ``model``, a plain functional model as ``functional.twin`` makes it.

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
    inner = {layer.name for layer in model.layers if isinstance(layer, functional_class())}
    outputs = tuple(_outputs(config["output_layers"], inner))
    readers: dict[str, list[str]] = {name: [] for name in calls}
    for reader, made in calls.items():
        for name in (name for call in made for name in call.inputs):
            readers[name].append(reader)
    uses = Counter({name: len(names) for name, names in readers.items()})
    uses.update(name for name, _ in outputs)
    classes = {layer["name"]: layer["class_name"] for layer in config["layers"]}
    return Graph(calls, classes, outputs, uses, readers)


def _call(node: Mapping[str, Any]) -> Call:
    leaves = list(_leaves([node["args"], node["kwargs"]]))
    tensors = [leaf["config"] for leaf in leaves if _is_tensor(leaf)]
    others = [leaf for leaf in leaves if not _is_tensor(leaf)]
    return Call(
        sources=tuple(tuple(tensor["keras_history"][:2]) for tensor in tensors),
        shapes=tuple(tuple(tensor["shape"]) for tensor in tensors),
        plain=all(other is None or other is False for other in others),
    )


def _is_tensor(value: Any) -> bool:
    return isinstance(value, Mapping) and value.get("class_name") == "__keras_tensor__"


def _leaves(value: Any) -> Iterator[Any]:
    if _is_tensor(value):
        yield value
    elif isinstance(value, Mapping):
        for _, item in sorted(value.items()):  # The order of `keras.tree.flatten`.
            yield from _leaves(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _leaves(item)
    else:
        yield value


def _outputs(outputs: Any, inner: Collection[str]) -> Iterator[Node]:
    """The calls in nested lists and dicts of ``[name, call, tensor]``.

    Here, and here alone, Keras numbers the calls of ``inner`` functional models from 1.
    """
    if isinstance(outputs, Mapping):
        outputs = list(outputs.values())
    if isinstance(outputs, Sequence) and outputs and isinstance(outputs[0], str):
        name, number, _ = outputs
        yield name, number - (name in inner)
        return
    for output in outputs:
        yield from _outputs(output, inner)
