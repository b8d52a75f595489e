"""What a network costs: parameters and operations by layer, block and stage."""

import dataclasses
import math
import os
import re
from collections.abc import Callable, Iterable
from typing import Any

import keras

from srm_keras.analysis.costs.layer_work import (
    Shape,
    StaticCall,
    Work,
    knows,
    layer_work,
    static_calls,
)
from srm_keras.analysis.costs.module_work import is_module, is_registered, module_work
from srm_keras.analysis.costs.traced_work import UncountedError, operation_work
from srm_keras.layers.conventions import channel_axis
from srm_keras.models.surgery.functional import check_functional, data_format_of
from srm_keras.support.files import write_csv, write_json
from srm_keras.support.tables import text_table
from srm_keras.support.validation import as_int, one_of, positive_int

COLUMNS = (
    *("trainable", "non_trainable", "multiply_adds", "module_operations", "operations"),
    *("bytes_read", "bytes_written", "bytes_moved"),
)


@dataclasses.dataclass(frozen=True)
class Cost:
    """Parameters, and operations and memory traffic on one image at inference.

    Attributes:
        trainable: Parameters that the optimizer changes.
        non_trainable: The others: moving averages of batch norms, and frozen layers.
        multiply_adds: In the convolutions and dense layers of the network outside the modules.
        module_operations: In the recalibration modules, see ``analysis.costs.module_work``.
        bytes_read: Feature maps and weights that the layers read from memory.
        bytes_written: Feature maps that they write. Both are counted as if every layer read its
            inputs once and wrote its output once, with batch norms and activations folded away.
    """

    trainable: int = 0
    non_trainable: int = 0
    multiply_adds: int = 0
    module_operations: int = 0
    bytes_read: int = 0
    bytes_written: int = 0

    @property
    def operations(self) -> int:
        """``multiply_adds + module_operations``."""
        return self.multiply_adds + self.module_operations

    @property
    def bytes_moved(self) -> int:
        """``bytes_read + bytes_written``."""
        return self.bytes_read + self.bytes_written

    def __add__(self, other: "Cost") -> "Cost":
        pairs = zip(dataclasses.astuple(self), dataclasses.astuple(other), strict=True)
        return Cost(*(mine + its for mine, its in pairs))

    def to_dict(self) -> dict[str, int]:
        """All numbers with their sums, in the order of the tables' columns."""
        return {name: getattr(self, name) for name in COLUMNS}


@dataclasses.dataclass(frozen=True)
class LayerCost:
    """One layer, its place in the network and its cost.

    Attributes:
        name: Of the layer, that of one in an inner model behind the model's: ``"inner/layer"``.
        type: Its class name.
        stage: ``"conv1"``, ``"conv2"``, … or ``"head"``; ``"other"`` for names unlike this
            package's.
        block: ``"conv2_6"`` for the sixth residual block of conv2; the stage outside of blocks.
        output_shape: Static, with a batch of one.
        cost: Parameters, operations and memory traffic.
        traced: Whether it is a module of a class that is not registered, counted by tracing it.
        unknown: Whether it is not known what it costs but for its parameters; 0 is counted then.
    """

    name: str
    type: str
    stage: str
    block: str
    output_shape: Shape
    cost: Cost
    traced: bool = False
    unknown: bool = False


LEVELS = ("layer", "block", "stage")

_IN_STAGE = re.compile(r"(conv\d+)(_\d+)?_")
_HEAD = ("pool", "dropout", "logits", "predictions")


@dataclasses.dataclass(frozen=True)
class Complexity:
    """The cost of every layer of a network, and sums of it.

    Attributes:
        model: Name of the network.
        input_shape: Of one image.
        layers: In network order, the input left out.
        bytes_per_element: Of feature maps and weights.
    """

    model: str
    input_shape: Shape
    layers: tuple[LayerCost, ...]
    bytes_per_element: int = 4

    @property
    def blocks(self) -> dict[str, Cost]:
        """Cost by residual block, the stem and the head, in network order."""
        return self._grouped(lambda layer: layer.block)

    @property
    def stages(self) -> dict[str, Cost]:
        """Cost by stage and of the head, in network order."""
        return self._grouped(lambda layer: layer.stage)

    @property
    def total(self) -> Cost:
        """Cost of the whole network."""
        return sum((layer.cost for layer in self.layers), Cost())

    @property
    def traced(self) -> list[str]:
        """Classes of modules without a count of their own, whose gates were traced."""
        return sorted({layer.type for layer in self.layers if layer.traced})

    @property
    def unknown(self) -> list[str]:
        """Layers of which only the parameters are counted, as ``"layer (class)"``."""
        return [f"{layer.name} ({layer.type})" for layer in self.layers if layer.unknown]

    def to_rows(self, per: str = "layer") -> list[dict[str, Any]]:
        """Return one dict a layer, block or stage, in network order; no row for the total.

        Args:
            per: ``"layer"``, ``"block"`` or ``"stage"``, which is also the key of the name.

        Raises:
            ValueError: ``per`` is something else.
        """
        if one_of("per", per, LEVELS) == "layer":
            return [_layer_row(layer) for layer in self.layers]
        groups = self.blocks if per == "block" else self.stages
        return [{per: name, **cost.to_dict()} for name, cost in groups.items()]

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain lists and numbers, for JSON."""
        return {
            "model": self.model,
            "input_shape": list(self.input_shape),
            "bytes_per_element": self.bytes_per_element,
            "traced": self.traced,
            "unknown": self.unknown,
            "total": self.total.to_dict(),
            "stages": self.to_rows("stage"),
            "blocks": self.to_rows("block"),
            "layers": self.to_rows("layer"),
        }

    def to_csv(self, path: str | os.PathLike, per: str = "layer") -> None:
        """Write ``to_rows(per)`` as CSV."""
        write_csv(path, self.to_rows(per))

    def to_json(self, path: str | os.PathLike) -> None:
        """Write ``to_dict()`` as JSON."""
        write_json(path, self.to_dict())

    def to_text(self, per: str = "stage") -> str:
        """Return a table for people: the rows, the total, and what was traced or is unknown."""
        rows = [*self.to_rows(per), {per: "total", **self.total.to_dict()}]
        cells = [[row[per], *(f"{row[column]:,}" for column in COLUMNS)] for row in rows]
        header = [per, *(column.replace("_", " ") for column in COLUMNS)]
        size = "×".join(map(str, self.input_shape))
        text = f"{self.model}, one image of {size}\n\n{text_table(header, cells)}"
        if self.traced:
            text += f"\n\nCounted by tracing their gates: {', '.join(self.traced)}"
        if self.unknown:
            text += (
                "\n\nNot known what they take, 0 operations and bytes counted: "
                f"{', '.join(self.unknown)}"
            )
        return text

    def _grouped(self, key: Callable[[LayerCost], str]) -> dict[str, Cost]:
        groups: dict[str, Cost] = {}
        for layer in self.layers:
            groups[key(layer)] = groups.get(key(layer), Cost()) + layer.cost
        return groups


def complexity(
    model: keras.Model,
    input_shape: tuple[int, ...] | None = None,
    bytes_per_element: int = 4,
) -> Complexity:
    """Count the parameters, the operations and the memory traffic of a functional network.

    What a layer of inner models costs stands under its path, ``"inner/layer"``. A layer that is
    called several times costs its operations and memory traffic as often, its parameters once. A
    layer of a class of which it is not known what it costs counts its parameters and nothing else,
    and is listed in ``Complexity.unknown``.

    Args:
        model: A functional or a built Sequential model, of this package or any other.
        input_shape: Of one image, without the batch axis; needed where the height or width of the
            model's input is unknown. It may differ from the model's own in height and width. Of a
            model with several inputs it is that of each one whose size is not known.
        bytes_per_element: Of feature maps and weights: 4 for float32.

    Returns:
        The cost of each layer on one image, with sums by block, stage and in total.

    Raises:
        ValueError: The model is not functional; ``input_shape`` is not one the model could take; or
            ``bytes_per_element`` is not a positive integer.

    Reference:
        Lee et al. 2019, section 3.3 and table 1.
    """
    check_functional(model)
    bytes_per_element = positive_int("bytes_per_element", bytes_per_element)
    shapes = _input_shapes(model, input_shape)
    costs: dict[int, LayerCost] = {}
    for call in static_calls(model, [(1, *shape) for shape in shapes]):
        cost = _layer_cost(call, bytes_per_element)
        before = costs.get(id(call.layer))
        costs[id(call.layer)] = cost if before is None else _called_again(before, cost)
    return Complexity(model.name, shapes[0], tuple(costs.values()), bytes_per_element)


def _input_shapes(model: keras.Model, input_shape: tuple[int, ...] | None) -> list[Shape]:
    """The static shape of each input, without the batch axis."""
    owns = [tuple(x.shape)[1:] for x in model.inputs]
    if len(owns) == 1:
        return [_image_shape(model, owns[0], input_shape)]
    return [_image_shape(model, own, input_shape if None in own else None) for own in owns]


def _image_shape(
    model: keras.Model, own: tuple[int | None, ...], input_shape: tuple[int, ...] | None
) -> Shape:
    given = own if input_shape is None else input_shape
    valid = isinstance(given, list | tuple) and len(given) == len(own)
    given = tuple(map(as_int, given)) if valid else given
    valid = valid and all(side is not None and side > 0 for side in given)
    if valid and len(own) == 3:
        channels = channel_axis(data_format_of(model)) % 4 - 1
        valid = given[channels] == own[channels]
    if not valid:
        raise ValueError(
            f"`input_shape` must be a static shape of one input of {model.name!r}, which takes "
            f"{own} with None for any size. Received: input_shape={input_shape}"
        )
    return tuple(int(side) for side in given if side is not None)


def _layer_cost(call: StaticCall, bytes_per_element: int) -> LayerCost:
    layer = call.layer
    stage, block = _place(layer.name)
    in_module = isinstance(layer, keras.layers.Layer) and is_module(layer)
    counted = _work(call, in_module)
    work = Work() if counted is None else counted
    cost = Cost(
        trainable=_parameters(getattr(layer, "trainable_weights", ())),
        non_trainable=_parameters(getattr(layer, "non_trainable_weights", ())),
        multiply_adds=0 if in_module else work.operations,
        module_operations=work.operations if in_module else 0,
        bytes_read=work.read * bytes_per_element,
        bytes_written=work.written * bytes_per_element,
    )
    return LayerCost(
        name=call.path,
        type=type(layer).__name__,
        stage=stage,
        block=block,
        output_shape=call.outputs[0],
        cost=cost,
        traced=in_module and counted is not None and not is_registered(layer),
        unknown=counted is None,
    )


def _work(call: StaticCall, in_module: bool) -> Work | None:
    """What a call costs; None where it is not known."""
    layer = call.layer
    if not isinstance(layer, keras.layers.Layer):
        return operation_work(layer, call.inputs, call.outputs, call.args)
    shape: Any = call.inputs[0] if len(call.inputs) == 1 else call.inputs
    if in_module:
        try:
            return module_work(layer, shape)
        except UncountedError:
            return None
    return layer_work(layer, shape, call.outputs) if knows(layer) else None


def _called_again(first: LayerCost, again: LayerCost) -> LayerCost:
    """The cost of both calls of a layer, whose parameters count once."""
    more = dataclasses.replace(again.cost, trainable=0, non_trainable=0)
    return dataclasses.replace(first, cost=first.cost + more)


def _place(name: str) -> tuple[str, str]:
    """Stage and block of a layer, read off its name."""
    match = _IN_STAGE.match(name)
    if match:
        in_block = match[2] if match[2] and match[1] != "conv1" else ""
        return match[1], match[1] + in_block
    if name.startswith("pool1"):
        return "conv1", "conv1"
    place = "head" if name in _HEAD else "other"
    return place, place


def _parameters(weights: Iterable[keras.Variable]) -> int:
    return sum(math.prod(weight.shape) for weight in weights)


def _layer_row(layer: LayerCost) -> dict[str, Any]:
    place = {"layer": layer.name, "type": layer.type, "stage": layer.stage, "block": layer.block}
    output_shape = "×".join(map(str, layer.output_shape[1:]))
    return {**place, "output_shape": output_shape, **layer.cost.to_dict()}
