"""The graph of a functional model, and which call comes from which."""

import graphlib
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import keras

from srm_keras.models.surgery.functional import functional_class, no_configuration

Node = tuple[str, int]
"""Name of a layer, and which of its calls, from 0."""


@dataclass(frozen=True)
class Call:
    """One call of a layer.

    Attributes:
        sources: The calls of other layers whose outputs it takes; ``(name, 0)`` for inputs.
        shapes: Of these outputs, with None for unknown sides.
        plain: Whether it takes nothing else: no ``training=True``, no mask, no constant.
        training: Whether it takes ``training=True``.
    """

    sources: tuple[Node, ...]
    shapes: tuple[tuple[int | None, ...], ...]
    plain: bool
    training: bool

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the layers whose outputs it takes."""
        return tuple(name for name, _ in self.sources)


@dataclass(frozen=True)
class Graph:
    """Who calls whom in a functional model.

    Attributes:
        calls: For each layer its calls within the model, in order; inputs have none.
        classes: For each layer the name of its class.
        outputs: The calls whose outputs are those of the model.
        uses: How often each layer's output is taken, by a call or as an output of the model.
        readers: For each layer the names of the layers that take its output.
    """

    calls: dict[str, list[Call]]
    classes: dict[str, str]
    outputs: tuple[Node, ...]
    uses: Counter[str]
    readers: dict[str, list[str]]


def read_graph(model: keras.Model) -> Graph:
    """Return the graph of ``model``, a plain functional model as ``functional.twin`` makes it.

    Raises:
        ValueError: A layer has no configuration.
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


def freeze(model: keras.Model) -> None:
    """Leave nothing to train in a functional model but in layers called with ``training=True``.

    Frozen, a batch norm would no longer normalize by the batch, as it is called to do.
    """
    calls = read_graph(model).calls
    training = {name for name in calls if any(call.training for call in calls[name])}
    if not training:
        model.trainable = False
        return
    for layer in model.layers:
        layer.trainable = layer.name in training


def _call(node: Mapping[str, Any]) -> Call:
    leaves = list(_leaves([node["args"], node["kwargs"]]))
    tensors = [leaf["config"] for leaf in leaves if _is_tensor(leaf)]
    others = [leaf for leaf in leaves if not _is_tensor(leaf)]
    return Call(
        sources=tuple(tuple(tensor["keras_history"][:2]) for tensor in tensors),
        shapes=tuple(tuple(tensor["shape"]) for tensor in tensors),
        plain=all(other is None or other is False for other in others),
        training=node["kwargs"].get("training") is True,
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


class Lineage:
    """The calls of a functional model in an order in which each comes after what it takes.

    Args:
        model: A plain functional model.

    Attributes:
        graph: What ``read_graph`` says of the model.
        operations: Its layers and operations by name.
        order: All calls, inputs included.
    """

    def __init__(self, model: keras.Model):
        self.graph = read_graph(model)
        self.operations: dict[str, Any] = {layer.name: layer for layer in model.operations}
        self.calls: dict[Node, Call] = {}
        for name, calls in self.graph.calls.items():
            for number, call in enumerate(calls or [Call((), (), True, False)]):
                self.calls[name, number] = call
        sources = {node: call.sources for node, call in self.calls.items()}
        self.order: list[Node] = list(graphlib.TopologicalSorter(sources).static_order())

    def layer(self, node: Node) -> Any:
        """The layer or operation that is called."""
        return self.operations[node[0]]

    def kind(self, node: Node) -> str:
        """The name of its class."""
        return self.graph.classes[node[0]]

    def is_ancestor(self, one: Node, other: Node) -> bool:
        """Whether ``other`` depends on ``one``, or is it."""
        return bool(self._ancestors[other] >> self._position[one] & 1)

    def ancestors(self, node: Node) -> list[Node]:
        """All that ``node`` depends on, and itself, in order."""
        return [
            one for one in self.order[: self._position[node] + 1] if self.is_ancestor(one, node)
        ]

    def fork(self, nodes: Iterable[Node]) -> Node | None:
        """The last call that all of ``nodes`` depend on, or are."""
        common = -1
        for node in nodes:
            common &= self._ancestors[node]
        return self.order[common.bit_length() - 1] if common > 0 else None

    def between(self, start: Node, end: Node) -> list[Node]:
        """The calls on the paths from ``start`` to ``end``, without ``start``, in order."""
        span = self.order[self._position[start] + 1 : self._position[end] + 1]
        return [
            node for node in span if self.is_ancestor(start, node) and self.is_ancestor(node, end)
        ]

    def length(self, start: Node, end: Node) -> int:
        """How many calls the longest path from ``start`` to ``end`` makes."""
        lengths = {start: 0}
        for node in self.between(start, end):
            before = (lengths[one] for one in self.calls[node].sources if one in lengths)
            lengths[node] = 1 + max(before)
        return lengths[end]

    def before(self, node: Node, kinds: Collection[str]) -> Node:
        """The call whose output, read by nothing else, arrives at ``node`` through ``kinds``.

        Activations that change nothing are passed over too.
        """
        while self.kind(node) in kinds or _is_linear(self.layer(node)):
            sources = self.calls[node].sources
            if len(sources) != 1 or self.graph.uses[sources[0][0]] != 1:
                break
            (node,) = sources
        return node

    @cached_property
    def _position(self) -> dict[Node, int]:
        return {node: position for position, node in enumerate(self.order)}

    @cached_property
    def _ancestors(self) -> dict[Node, int]:
        """For each call a number with a bit set for each position of what it depends on."""
        ancestors: dict[Node, int] = {}
        for position, node in enumerate(self.order):
            ancestors[node] = 1 << position
            for source in self.calls[node].sources:
                ancestors[node] |= ancestors[source]
        return ancestors


def _is_linear(layer: Any) -> bool:
    is_activation = isinstance(layer, keras.layers.Activation)
    return is_activation and layer.activation is keras.activations.linear
