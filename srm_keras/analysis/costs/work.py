"""The unit in which layers and modules are counted."""

import dataclasses
import math
from typing import Any

Shape = tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class Work:
    """What is done to one image at inference.

    Attributes:
        operations: multiply-adds, and additions, multiplications and comparisons that stand alone.
        read: numbers read from memory, weights among them.
        written: numbers written to memory.
    """

    operations: int = 0
    read: int = 0
    written: int = 0

    def __add__(self, other: "Work") -> "Work":
        return Work(
            self.operations + other.operations,
            self.read + other.read,
            self.written + other.written,
        )


def elements(shape: Any) -> int:
    """How many numbers are in a tensor of static ``shape``, or in all of a list of shapes."""
    return sum(map(math.prod, shape)) if isinstance(shape, list) else math.prod(shape)


def stored(layer: Any) -> int:
    """How many numbers the weights of ``layer`` are."""
    return sum(math.prod(weight.shape) for weight in layer.weights)


def product(shape: Shape, gates: int) -> Work:
    """A feature map of ``shape`` times a tensor of ``gates`` numbers."""
    return Work(elements(shape), elements(shape) + gates, elements(shape))
