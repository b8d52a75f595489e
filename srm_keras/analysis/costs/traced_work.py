"""The work of a module that nobody has counted, read off a trace of its gates."""

import math
from collections.abc import Callable
from typing import Any

import keras

from srm_keras.analysis.costs.layer_work import (
    Shape,
    Work,
    elements,
    gated_product,
    knows,
    layer_work,
)
from srm_keras.layers import Recalibration
from srm_keras.models.surgery.functional import copied

# Classes of the operations behind `keras.ops`, by name: they are not exported.
_VANISHING = frozenset(
    {
        *("Cast", "ExpandDims", "Identity", "Reshape", "Squeeze", "Transpose"),
        *("Elu", "Gelu", "HardSigmoid", "HardTanh", "LeakyRelu", "Relu", "Relu6", "Sigmoid"),
        *("Silu", "Softmax", "Softplus", "Tanh"),
    }
)
_MOVING = frozenset(
    {
        *("BroadcastTo", "Concatenate", "Flip", "GetItem", "Pad", "Repeat", "Resize", "Roll"),
        *("Split", "Stack", "Take", "Tile"),
    }
)
_PRODUCTS = ("Matmul", "Conv", "DepthwiseConv")
_PASSES = {"Moments": 3, "Std": 3, "Var": 3}  # mean; subtract; square and add
_UNKNOWN = frozenset({"ConvTranspose", "Dot", "Einsum", "SeparableConv", "Tensordot"})


class UncountedError(ValueError):
    """It is not known what a module costs."""


def traced_work(layer: Recalibration, shape: Shape) -> Work:
    """Work of any module, read off a trace of its ``gates``.

    Sublayers count as layers of a network do, or are traced themselves. Of the operations of
    ``keras.ops``, matrix products and convolutions count their multiply-adds, activations and
    reshapes nothing, what moves numbers its memory, and each other one operation for every
    element of its largest tensor (three where it is a variance). No step is fused with another.

    Args:
        layer: A built module whose ``gates`` is written in ``keras.ops`` and Keras layers.
        shape: Static shape of the feature map, batch axis first.

    Raises:
        UncountedError: The gates cannot be traced, or contain a step of unknown cost.
    """
    try:
        work, gates = _traced(lambda x: layer.gates(x, training=False), [shape])
    except Exception as error:  # whatever code that is not ours raises
        raise UncountedError(
            f"It is not known how many operations a {type(layer).__name__} takes, and its gates "
            "cannot be traced. Register it with `srm_keras.analysis.register_operations`. "
            f"Received: layer {layer.name!r} ({type(error).__name__}: {str(error).splitlines()[0]})"
        ) from error
    return work + gated_product(layer, shape, gates)


def _traced(function: Callable[..., Any], shapes: list[Shape]) -> tuple[Work, int]:
    """Work of ``function`` on tensors of ``shapes``, and the number of elements that it returns."""
    inputs = [keras.Input(batch_shape=shape) for shape in shapes]
    output = function(*inputs)
    if not keras.backend.is_keras_tensor(output):
        return Work(), math.prod(keras.ops.shape(output))
    steps: list[Work] = []

    def record(step: Any, *args: Any, **kwargs: Any) -> Any:
        result = step(*args, **kwargs)
        steps.append(_step_work(step, _shapes((args, kwargs)), _shapes(result), args))
        return result

    copied(keras.Model(inputs, output), lambda step: step, record)
    return sum(steps, Work()), elements(tuple(output.shape))


def _shapes(tensors: Any) -> list[Shape]:
    leaves = filter(keras.backend.is_keras_tensor, keras.tree.flatten(tensors))
    return [tuple(leaf.shape) for leaf in leaves]


def _step_work(step: Any, inputs: list[Shape], outputs: list[Shape], args: tuple) -> Work:
    if isinstance(step, keras.layers.Layer):
        shape = inputs if len(inputs) > 1 else inputs[0]
        return layer_work(step, shape) if knows(step) else _traced(step.call, inputs)[0]
    name = type(step).__name__
    if name in _UNKNOWN:
        raise ValueError(f"an operation {name} is not counted")
    if name in _VANISHING:
        return Work()
    return Work(_operations(name, inputs, outputs, args), elements(inputs), elements(outputs))


def operation_work(
    operation: Any, inputs: list[Shape], outputs: list[Shape], args: tuple
) -> Work | None:
    """Work of an operation of ``keras.ops`` that stands in a network as its layers do.

    Other than in a module, only matrix products and convolutions count operations. None where it is
    not known what this one does.
    """
    name = type(operation).__name__
    if name in _UNKNOWN or not type(operation).__module__.startswith("keras."):
        return None
    if name in _VANISHING:
        return Work()
    count = _operations(name, inputs, outputs, args) if name in _PRODUCTS else 0
    return Work(count, elements(inputs), elements(outputs))


def _operations(name: str, inputs: list[Shape], outputs: list[Shape], args: tuple) -> int:
    if name in _MOVING:
        return 0
    if name == "Matmul":
        return elements(outputs) * inputs[0][-1]
    if name in ("Conv", "DepthwiseConv"):
        kernel = tuple(args[1].shape)
        window = kernel[:-2] if name == "DepthwiseConv" else kernel[:-1]
        return elements(outputs) * math.prod(window)
    largest = max(map(math.prod, [*inputs, *outputs]))
    return _PASSES.get(name, 1) * largest
