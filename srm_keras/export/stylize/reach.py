"""How far around a pixel a stylization network looks, read from its layers."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import keras
from keras import layers

from srm_keras.export.stylize.part import image_input
from srm_keras.models.functional import check_functional
from srm_keras.models.graph import Graph, Node, read_graph


@dataclass(frozen=True)
class Reach:
    """What a network needs of the pixels around those that it paints.

    Attributes:
        margin: how many pixels it looks at on each side of one, rounded up to whole steps.
        step: pieces of an image must begin at multiples of it, in pixels, so that strided layers
            stand on the grid on which they stand in the whole image.
    """

    margin: int
    step: int


@dataclass(frozen=True)
class Window:
    """The pixels that a sample of a feature map is computed from, along one axis of the image.

    The sample at index i is a function of those from ``stride·i − before`` to ``stride·i + after``.
    """

    stride: Fraction = Fraction(1)
    before: Fraction = Fraction(0)
    after: Fraction = Fraction(0)

    def wider(self, before: Any, after: Any, stride: Any = 1) -> "Window":
        """The window of a layer that takes so many samples of this map, and every n-th."""
        return Window(
            self.stride * stride,
            self.before + self.stride * before,
            self.after + self.stride * after,
        )


Rule = Callable[[Any, Window, int], Window]


def reach(model: keras.Model) -> Reach:
    """Return how far ``model`` looks, and on what grid.

    Exact for convolutions, pooling, padding, cropping and nearest-neighbour upsampling, up to the
    rounding to whole steps. What a network computes at a distance of ``margin`` or more from an
    edge does not depend on where the edge is.

    Args:
        model: a functional model whose first input, or that called ``"content"``, is an image
            (N, H, W, 3), and whose output has its size; without models inside of it
            (``srm_keras.export.folding.flatten``). Other inputs may reach every pixel alike.

    Raises:
        ValueError: a layer looks at the whole image, its position cannot be told from the size of
            a piece, or nothing is known of its class; or the output is of another size.
    """
    check_functional(model)
    graph = read_graph(model)
    operations = {operation.name: operation for operation in model.operations}
    steps, margins = [1], [0]
    for axis in (0, 1):
        windows = _windows(graph, operations, image_input(model), axis)
        output = _output(graph, windows, model)
        margins += [math.ceil(output.before), math.ceil(output.after)]
        steps += [math.ceil(window.stride) for window in windows.values() if window]
    step = math.lcm(*steps)
    return Reach(-(-max(margins) // step) * step, step)


def _windows(
    graph: Graph, operations: dict[str, Any], image: str, axis: int
) -> dict[Node, Window | None]:
    """The window of each call's output; None where the image has no part in it."""
    done: dict[Node, Window | None] = {}

    def window(node: Node) -> Window | None:
        if node not in done:
            name, number = node
            calls = graph.calls[name]
            if not calls:
                return done.setdefault(node, Window() if name == image else None)
            sources = [window(source) for source in calls[number].sources]
            done[node] = _through(operations[name], sources, axis)
        return done[node]

    # In the order of the network, so that the recursion stays flat.
    for name, calls in graph.calls.items():
        for number in range(max(len(calls), 1)):
            window((name, number))
    return done


def _through(operation: Any, sources: Sequence[Window | None], axis: int) -> Window | None:
    name = type(operation).__name__
    known = [window for window in sources if window is not None]
    if not known:
        return None
    if name in FIRST_ALONE:
        known = known[:1]
    rule = RULES.get(name)
    if rule is None:
        raise _unknown(operation)
    return rule(operation, _joined(known, operation), axis)


def _unknown(operation: Any) -> ValueError:
    return ValueError(
        "`tile` must be 0 for a network with a layer whose reach is not known. Received: "
        f"{operation.name!r}, a {type(operation).__name__}"
    )


def _joined(windows: Sequence[Window], operation: Any) -> Window:
    """One window that holds those of all inputs of a layer."""
    if len({window.stride for window in windows}) > 1:
        raise ValueError(
            "`stylizer` must join maps of one size alone. Received: layer "
            f"{operation.name!r}, whose inputs have different sizes"
        )
    before = max(window.before for window in windows)
    return replace(windows[0], before=before, after=max(window.after for window in windows))


def _output(graph: Graph, windows: dict[Node, Window | None], model: keras.Model) -> Window:
    (node,) = graph.outputs
    window = windows[node]
    if window is None or window.stride != 1:
        raise ValueError(
            "`stylizer` must make an image of the size of its input. "
            f"Received: {model.name!r}, which does not"
        )
    return window


def _pointwise(layer: Any, window: Window, axis: int) -> Window:
    return window


def _sliding(layer: Any, window: Window, axis: int) -> Window:
    kernel = _pair(getattr(layer, "kernel_size", None) or layer.pool_size)[axis]
    stride = _pair(layer.strides)[axis]
    extent = (kernel - 1) * _pair(getattr(layer, "dilation_rate", 1))[axis]
    before = 0 if layer.padding == "valid" else _same_padding(layer, extent + 1, stride)
    return window.wider(before, extent - before, stride)


def _same_padding(layer: Any, extent: int, stride: int) -> int:
    """Samples that ``padding="same"`` adds before the first, if they do not depend on the size."""
    totals = [extent - stride, *(extent - rest for rest in range(1, stride))]
    before = {max(total, 0) // 2 for total in totals}
    if len(before) > 1:
        raise ValueError(
            "`tile` must be 0 for a network with a strided layer with padding='same', whose place "
            f"depends on the size of the image. Received: layer {layer.name!r}"
        )
    return before.pop()


def _transposed(layer: Any, window: Window, axis: int) -> Window:
    stride = _pair(layer.strides)[axis]
    extent = (_pair(layer.kernel_size)[axis] - 1) * _pair(layer.dilation_rate)[axis] + 1
    return window.wider(0, 0, Fraction(1, stride)).wider(extent, extent)


def _upsampled(layer: Any, window: Window, axis: int) -> Window:
    size = _pair(layer.size)[axis]
    finer = window.wider(0, 0, Fraction(1, size))
    return finer.wider(size - 1, 0) if layer.interpolation == "nearest" else _smooth(finer, size)


def _smooth(window: Window, size: int) -> Window:
    """Bicubic and Lanczos interpolation take up to five samples on each side."""
    return window.wider(6 * size, 6 * size)


def _padded(layer: Any, window: Window, axis: int) -> Window:
    before = _pair(_pair(layer.padding)[axis])[0]
    return window.wider(before, -before)


def _cropped(layer: Any, window: Window, axis: int) -> Window:
    before = _pair(_pair(layer.cropping)[axis])[0]
    return window.wider(-before, before)


def _flipped(operation: Any, window: Window, axis: int) -> Window:
    if operation.axis not in (-1, 3):
        raise _unknown(operation)
    return window


def _padded_to_multiple(layer: Any, window: Window, axis: int) -> Window:
    """What is added mirrors up to that many pixels before the edge."""
    return window.wider(layer.multiple, 0)


def _pair(value: Any) -> tuple[Any, Any]:
    first, second = value if isinstance(value, list | tuple) else (value, value)
    return first, second


FIRST_ALONE = frozenset({"CropToMatch"})
"""Layers that take the size of their other inputs and nothing else."""

_POINTWISE = (
    # Keras' layers
    *("Activation", "ELU", "LeakyReLU", "PReLU", "ReLU", "BatchNormalization", "Rescaling"),
    *("Dropout", "SpatialDropout2D", "GaussianNoise", "GaussianDropout", "Identity"),
    *("Add", "Average", "Concatenate", "Maximum", "Minimum", "Multiply", "Normalization"),
    # operations of keras.ops, as `x + y` makes them
    *("Subtract", "Divide", "TrueDivide", "Negative", "Clip", "Cast", "Relu", "Sigmoid", "Tanh"),
    # this package's
    *("HeldAffine", "CropToMatch"),
)
RULES: dict[str, Rule] = {
    **dict.fromkeys(_POINTWISE, _pointwise),
    **{
        kind.__name__: _sliding
        for kind in (
            *(layers.Conv2D, layers.DepthwiseConv2D, layers.SeparableConv2D),
            *(layers.MaxPooling2D, layers.AveragePooling2D),
        )
    },
    "Conv2DTranspose": _transposed,
    "UpSampling2D": _upsampled,
    "ZeroPadding2D": _padded,
    "ReflectionConv2D": _sliding,
    "ReflectionPadding2D": _padded,
    "Cropping2D": _cropped,
    "Flip": _flipped,  # of channels, RGB to BGR
    "PadToMultiple": _padded_to_multiple,
}
