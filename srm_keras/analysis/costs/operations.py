"""How many operations one layer spends on one image, and how modules are registered for it.

An operation is one multiply-add, or an addition, multiplication or comparison that stands alone.
As is usual for ResNets, biases, batch norms (they fold into the convolution before them at
inference), activations, paddings, poolings, factors and the residual additions of the network count
nothing. The modules' own statistics and products do count: they are the modules' cost.
"""

from collections.abc import Callable
from typing import Any, TypeVar

import keras

from srm_keras.analysis.costs.layer_work import layer_work
from srm_keras.analysis.costs.module_work import MODULES
from srm_keras.analysis.costs.traced_work import UncountedError, traced_work
from srm_keras.analysis.costs.work import Shape, Work
from srm_keras.layers import Recalibration

Counter = Callable[[Any, Shape], int | Work]
AnyCounter = TypeVar("AnyCounter", bound=Counter)

_MODULES: dict[type, Counter] = dict(MODULES)


def register_operations(module: type[keras.layers.Layer]) -> Callable[[AnyCounter], AnyCounter]:
    """Register the cost of a recalibration module, where its trace would not tell it.

    A ``Recalibration`` that is not registered is counted by tracing its gates, which knows no
    fusion and is coarse for unusual operations. Counters are looked up by exact class: a subclass
    may compute something else.

    Example:
        >>> @register_operations(MyModule)
        ... def my_module_work(layer, input_shape):
        ...     size = math.prod(input_shape)  # a mean and the product with the gates
        ...     return Work(operations=2 * size, read=2 * size, written=size)

    Args:
        module: the layer class. The decorated function takes a built layer of it and the static
            shape (1, H, W, C) or (1, C, H, W) of its input, and returns a ``Work``, or an int for
            the operations alone: numbers read and written are then those of the trace.
    """

    def register(counter: AnyCounter) -> AnyCounter:
        _MODULES[module] = counter
        return counter

    return register


def multiply_adds(layer: keras.layers.Layer, input_shape: Shape) -> int:
    """Multiply-adds of a convolution or dense layer of the network; 0 for layers that have none.

    Args:
        layer: a built Keras layer.
        input_shape: static shape of its input, batch axis first.

    Raises:
        ValueError: it is not known what a layer of this class costs.
    """
    return layer_work(layer, input_shape).operations


def module_operations(layer: keras.layers.Layer, input_shape: Shape) -> int:
    """Operations of a recalibration module: its statistics, its layers, the product with gates.

    Args:
        layer: a built module.
        input_shape: static shape of the feature map, batch axis first.

    Raises:
        ValueError: the layer is no ``Recalibration`` and not registered, its gates cannot be
            traced, or it cannot take a map of this size.
    """
    counted = _counted(layer, input_shape)
    return counted if isinstance(counted, int) else counted.operations


def module_work(layer: keras.layers.Layer, input_shape: Shape) -> Work:
    """What ``module_operations`` counts, with the numbers read and written.

    Raises:
        ValueError: as ``module_operations``.
    """
    counted = _counted(layer, input_shape)
    if isinstance(counted, Work):
        return counted
    traced = _trace(layer, input_shape)
    return Work(counted, traced.read, traced.written)


def is_module(layer: keras.layers.Layer) -> bool:
    """Whether the cost of ``layer`` belongs in the modules' column."""
    known = isinstance(layer, Recalibration) or type(layer) in _MODULES
    return known or layer.name.endswith("_recalibration")


def is_registered(layer: keras.layers.Layer) -> bool:
    """Whether the class of ``layer`` has a count of its own, so that it is not traced."""
    return type(layer) in _MODULES


def _counted(layer: Any, input_shape: Shape) -> int | Work:
    if is_registered(layer):
        return _MODULES[type(layer)](layer, input_shape)
    return _trace(layer, input_shape)


def _trace(layer: Any, input_shape: Shape) -> Work:
    if not isinstance(layer, Recalibration):
        raise UncountedError(
            f"It is not known how many operations a {type(layer).__name__} takes. Register it with "
            "`srm_keras.analysis.register_operations`. "
            f"Received: layer {layer.name!r} of class {type(layer).__name__}, which is no "
            "Recalibration"
        )
    return traced_work(layer, input_shape)
