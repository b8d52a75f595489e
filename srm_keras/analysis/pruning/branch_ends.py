"""Where a residual branch ends: what computes its channels, and what adds them."""

from dataclasses import dataclass
from typing import Any

import keras
from keras import layers

from srm_keras.analysis.networks import single_calls
from srm_keras.layers import Recalibration
from srm_keras.layers.data_format import channel_axis


@dataclass(frozen=True)
class BranchEnd:
    """The end of a residual branch: convolution, perhaps batch norm, module, addition.

    Attributes:
        conv: computes the channels.
        bn: normalizes them, or None.
        module: recalibrates them.
        add: adds them to the shortcut.
        shortcut: which of the two tensors that ``add`` takes is the shortcut.
    """

    conv: layers.Conv2D
    bn: layers.BatchNormalization | None
    module: Recalibration
    add: layers.Add
    shortcut: int

    @property
    def channels(self) -> int:
        """Number of channels of the branch."""
        return self.conv.filters


def branch_end(model: keras.Model, module: Recalibration) -> BranchEnd:
    """Return the end of the residual branch that ``module`` recalibrates.

    Args:
        model: a functional model that calls each of its layers once.
        module: one of its layers.

    Raises:
        ValueError: a layer is called twice, or the branch does not end in a plain convolution,
            perhaps a batch norm of its channels, the module and an addition of two.
    """
    graph = _Graph(model)
    bn = graph.producer(module)
    if type(bn) is layers.BatchNormalization:
        conv = graph.producer(bn)
        _require(bn.axis % 4 == channel_axis(module.data_format) % 4, module, "another axis", bn)
    else:
        bn, conv = None, bn
    _require(type(conv) is layers.Conv2D, module, "no Conv2D before it but", conv)
    _require(conv.groups == 1, module, "a convolution with groups before it", conv)
    _require(conv.data_format == module.data_format, module, "another data format in", conv)
    plain = len(conv.get_weights()) == 1 + conv.use_bias
    _require(plain, module, "a quantized convolution, or one with LoRA weights, before it", conv)
    for layer in filter(None, (conv, bn, module)):
        _require(len(graph.readers(layer)) == 1, module, "not one reader of what comes from", layer)
    (add,) = graph.readers(module)
    _require(type(add) is layers.Add and len(add.input) == 2, module, "no Add of two but", add)
    return BranchEnd(conv, bn, module, add, int(add.input[0] is module.output))


def _require(condition: bool, module: Recalibration, found: str, layer: Any) -> None:
    if not condition:
        name = getattr(layer, "name", layer)
        raise ValueError(
            "Channels can be removed where a residual branch ends in Conv2D, perhaps "
            f"BatchNormalization, the module and Add. Received: {module.name!r}, with {found} "
            f"{name!r} ({type(layer).__name__})"
        )


class _Graph:
    """Who makes and who reads what, in a model that calls each layer once."""

    def __init__(self, model: keras.Model):
        self.producers: dict[int, Any] = {}
        self.read: dict[int, list[Any]] = {}
        for operation, inputs, outputs in single_calls(model):
            self.producers |= {id(tensor): operation for tensor in outputs}
            for tensor in inputs:
                self.read.setdefault(id(tensor), []).append(operation)
        for tensor in model.outputs:
            self.read.setdefault(id(tensor), []).append(model)

    def producer(self, layer: Any) -> Any:
        """The layer that makes what ``layer`` takes; None for several, or an input."""
        tensor = layer.input
        return None if isinstance(tensor, list) else self.producers.get(id(tensor))

    def readers(self, layer: Any) -> list[Any]:
        """The layers that take what ``layer`` makes, and the model where it is an output."""
        return self.read.get(id(layer.output), [])
