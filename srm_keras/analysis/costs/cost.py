"""What a layer, or all layers together, cost."""

import dataclasses

from srm_keras.analysis.costs.work import Shape

COLUMNS = (
    *("trainable", "non_trainable", "multiply_adds", "module_operations", "operations"),
    *("bytes_read", "bytes_written", "bytes_moved"),
)


@dataclasses.dataclass(frozen=True)
class Cost:
    """Parameters, and operations and memory traffic on one image at inference.

    Attributes:
        trainable: parameters that the optimizer changes.
        non_trainable: the others: moving averages of batch norms, and frozen layers.
        multiply_adds: in the convolutions and dense layers of the network outside the modules.
        module_operations: in the recalibration modules, see ``analysis.costs.operations``.
        bytes_read: feature maps and weights that the layers read from memory.
        bytes_written: feature maps that they write. Both are counted as if every layer read its
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
        name: of the layer, that of one in an inner model behind the model's: ``"inner/layer"``.
        type: its class name.
        stage: ``"conv1"``, ``"conv2"``, … or ``"head"``; ``"other"`` for names unlike this
            package's.
        block: ``"conv2_6"`` for the sixth residual block of conv2; the stage outside of blocks.
        output_shape: static, with a batch of one.
        cost: parameters, operations and memory traffic.
        traced: whether it is a module of a class that is not registered, counted by tracing it.
        unknown: whether it is not known what it costs but for its parameters; 0 is counted then.
    """

    name: str
    type: str
    stage: str
    block: str
    output_shape: Shape
    cost: Cost
    traced: bool = False
    unknown: bool = False
