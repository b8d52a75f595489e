"""Which layers can take a batch norm in, and what their weights are then."""

from dataclasses import dataclass

import numpy as np
from keras import layers, ops

from srm_keras.layers.conventions import inference_affine


@dataclass(frozen=True)
class Kernel:
    """The weight of a layer that is linear in its input, up to the bias.

    Attributes:
        attribute: Name of the weight.
        output_axes: Those of its axes that make up the output channels.
        input_axis: The axis of the input channels, where each of them is multiplied by this weight
            alone; None where it is not (a separable convolution) or where the layer adds a border
            (a transposed one).
    """

    attribute: str
    output_axes: tuple[int, ...]
    input_axis: int | None


_PLAIN = Kernel("kernel", (-1,), -2)
_DEPTHWISE = Kernel("kernel", (-2, -1), -2)
_TRANSPOSED = Kernel("kernel", (-2,), None)
_SEPARABLE = Kernel("pointwise_kernel", (-1,), None)
KERNELS: dict[type, Kernel] = {
    **dict.fromkeys((layers.Dense, layers.Conv1D, layers.Conv2D, layers.Conv3D), _PLAIN),
    **dict.fromkeys((layers.DepthwiseConv1D, layers.DepthwiseConv2D), _DEPTHWISE),
    **dict.fromkeys(
        (layers.Conv1DTranspose, layers.Conv2DTranspose, layers.Conv3DTranspose), _TRANSPOSED
    ),
    **dict.fromkeys((layers.SeparableConv1D, layers.SeparableConv2D), _SEPARABLE),
}


def own_weights(layer: layers.Layer) -> bool:
    """Whether kernel and bias are all the weights of a layer of ``KERNELS``.

    Those of LoRA, or the scales of a quantized kernel, lie beside them.
    """
    separable = KERNELS[type(layer)] is _SEPARABLE
    return len(layer.weights) == 1 + separable + bool(layer.use_bias)


def set_merged_weights(
    copy: layers.Layer,
    source: layers.Layer,
    ahead: layers.BatchNormalization | None,
    behind: layers.BatchNormalization | None,
) -> None:
    """Set kernel and bias of ``copy`` so that it computes ``behind(source(ahead(x)))``.

    With ``s·x + o`` for the batch norm ahead and ``t·y + p`` for the one behind, kernel W and bias
    b become ``t·W·s`` and ``t·(b + W·o) + p``, computed in float64.
    """
    kernel = KERNELS[type(source)]
    weight = _float64(getattr(source, kernel.attribute))
    bias = _float64(source.bias) if source.use_bias else np.zeros(())
    if ahead is not None:
        assert kernel.input_axis is not None
        scale, offset = inference_affine(ahead)
        bias = bias + _over_all_but(
            kernel.output_axes, weight * _along(weight, offset, kernel.input_axis)
        )
        weight = weight * _along(weight, scale, kernel.input_axis)
    if behind is not None:
        scale, offset = inference_affine(behind)
        weight = weight * _along(weight, scale, *kernel.output_axes)
        bias = bias * scale + offset
    if kernel is _SEPARABLE:
        copy.depthwise_kernel.assign(source.depthwise_kernel)
    getattr(copy, kernel.attribute).assign(weight)
    copy.bias.assign(bias)


def _float64(variable) -> np.ndarray:
    return np.asarray(ops.convert_to_numpy(variable), "float64")


def _along(weight: np.ndarray, vector: np.ndarray, *axes: int) -> np.ndarray:
    """``vector`` in a shape that broadcasts along ``axes`` of ``weight``."""
    shape = [1] * weight.ndim
    for axis in axes:
        shape[axis] = weight.shape[axis]
    return vector.reshape(shape)


def _over_all_but(axes: tuple[int, ...], weight: np.ndarray) -> np.ndarray:
    """The sum of ``weight`` for each output channel."""
    kept = {axis % weight.ndim for axis in axes}
    return weight.sum(axis=tuple(set(range(weight.ndim)) - kept)).ravel()
