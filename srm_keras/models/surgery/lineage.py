"""Which call of a network comes from which: ancestors, forks, paths."""

import graphlib
from collections.abc import Collection, Iterable
from functools import cached_property
from typing import Any

import keras

from srm_keras.models.graph import Call, Node, read_graph


class Lineage:
    """The calls of a functional model in an order in which each comes after what it takes.

    Args:
        model: a plain functional model.

    Attributes:
        graph: what ``read_graph`` says of the model.
        operations: its layers and operations by name.
        order: all calls, inputs included.
    """

    def __init__(self, model: keras.Model):
        self.graph = read_graph(model)
        self.operations: dict[str, Any] = {layer.name: layer for layer in model.operations}
        self.calls: dict[Node, Call] = {}
        for name, calls in self.graph.calls.items():
            for number, call in enumerate(calls or [Call((), (), True)]):
                self.calls[name, number] = call
        sources = {node: call.sources for node, call in self.calls.items()}
        self.order: list[Node] = list(graphlib.TopologicalSorter(sources).static_order())

    def layer(self, node: Node) -> Any:
        """The layer or operation that is called."""
        return self.operations[node[0]]

    def kind(self, node: Node) -> str:
        """The name of its class."""
        return self.graph.classes[node[0]]

    def is_input(self, node: Node) -> bool:
        """Whether this is an input of the model."""
        return not self.graph.calls[node[0]]

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
