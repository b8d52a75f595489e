"""One array of a state dict and the Keras variable of the same content."""

import dataclasses
from typing import Any

import keras
import numpy as np

CONVOLUTION = (3, 2, 0, 1)  # (H, W, in, out) here, (out, in, H, W) in PyTorch
DEPTHWISE = (2, 3, 0, 1)  # (H, W, C, 1) here, (C, 1, H, W) in PyTorch
CONVOLUTION_1D = (2, 1, 0)  # (k, in, out) here, (out, in, k) in PyTorch
DENSE = (1, 0)  # (in, out) here, (out, in) in PyTorch
AS_IT_IS = (0, 1)
VECTOR = (0,)


@dataclasses.dataclass(frozen=True)
class Entry:
    """An array of a state dict and the variable that holds it here.

    Attributes:
        name: in the state dict, such as ``"layer1.0.conv1.weight"``.
        variable: of the Keras network.
        axes: the variable's axes in PyTorch's order.
        ones: axes of length 1 that PyTorch has after those (a dense layer as 1×1 convolution).
    """

    name: str
    variable: Any
    axes: tuple[int, ...] = VECTOR
    ones: int = 0

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the array in PyTorch."""
        return tuple(self.variable.shape[axis] for axis in self.axes) + (1,) * self.ones

    def to_torch(self) -> np.ndarray:
        """The variable's value, as PyTorch has it."""
        value = keras.ops.convert_to_numpy(self.variable).transpose(self.axes)
        return np.ascontiguousarray(value).reshape(self.shape)

    def to_keras(self, array: np.ndarray) -> np.ndarray:
        """An array of ``shape``, as the variable has it."""
        without_ones = array.reshape(self.shape[: len(self.axes)])
        return without_ones.transpose(np.argsort(self.axes))


def batch_norm_entries(name: str, layer: keras.layers.Layer) -> list[Entry]:
    """Scale, offset and moving statistics of a batch norm."""
    return [
        Entry(f"{name}.weight", layer.gamma),
        Entry(f"{name}.bias", layer.beta),
        Entry(f"{name}.running_mean", layer.moving_mean),
        Entry(f"{name}.running_var", layer.moving_variance),
    ]


def kernel_entries(
    name: str, layer: keras.layers.Layer, axes: tuple[int, ...], ones: int = 0
) -> list[Entry]:
    """Kernel and, where the layer has one, bias."""
    bias = [Entry(f"{name}.bias", layer.bias)] if layer.use_bias else []
    return [Entry(f"{name}.weight", layer.kernel, axes, ones), *bias]
