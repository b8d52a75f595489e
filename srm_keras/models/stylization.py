"""The feed-forward stylization network of Johnson et al.

*Where the modules are.* One in each residual block, after its second normalization and before the
addition, as everywhere in the paper (its figure 2b); and one after each of the five other
normalizations, before the ReLU. In the paper's section 4.3 the variable of the experiment is the
normalization, and "BN+SRM" is to do what instance normalization does: suppress the styles of the
input image. Instance normalization does it along the whole path; with modules in the residual
branches alone the path around them, and the layers at full resolution on both ends, would have
none. The paper does not spell the placement out: this is our reading.

*Parameters.* The PyTorch example that the paper used has 1,679,235. This network has 1,600 fewer:
no biases in the 15 convolutions that a normalization follows, which subtracts them.

*Sizes.* Sides are halved twice rounding up, so where a side is no multiple of 4 the PyTorch
example's picture is up to 3 pixels larger than its input; here the surplus is cut off at the right
and lower border, and the rest is the same.
"""

import dataclasses
import os
from collections.abc import Sequence
from typing import Any

import keras
from keras import layers, ops

from srm_keras.layers.conventions import (
    batch_norm,
    channel_axis,
    spatial_axes,
    standardize_data_format,
)
from srm_keras.layers.instance_norm import InstanceNormalization
from srm_keras.layers.reflection import ReflectionPadding2D
from srm_keras.layers.registry import Spec, recalibration
from srm_keras.models.head import image_input, load_weights
from srm_keras.models.residual import NestedSpec, spec_of_each_block
from srm_keras.support.validation import one_of, positive_int


@keras.saving.register_keras_serializable(package="srm_keras")
class CropToMatch(keras.layers.Layer):
    """Cuts the right and lower border of a map off, to the height and width of another.

    Where both sizes are known when the graph is made and equal, there is nothing to compute.

    Args:
        data_format: ``"channels_last"``, ``"channels_first"`` or None for Keras' global setting.

    Input shape:
        A list of two maps, (N, H, W, C) and (N, h, w, D) with h ≤ H and w ≤ W, or both with
        channels first.

    Output shape:
        (N, h, w, C), or (N, C, h, w).
    """

    def __init__(self, data_format: str | None = None, **kwargs: Any):
        super().__init__(**kwargs)
        self.data_format = standardize_data_format(data_format)

    def call(self, inputs):
        x, like = inputs
        height, width = (ops.shape(like)[axis] for axis in spatial_axes(self.data_format))
        if self.data_format == "channels_last":
            return x[:, :height, :width]
        return x[:, :, :height, :width]

    def compute_output_shape(self, input_shape):
        shape, like = map(tuple, input_shape)
        result = list(like)
        axis = channel_axis(self.data_format)
        result[axis] = shape[axis]
        return tuple(result)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "data_format": self.data_format}


NORMALIZATIONS = ("instance", "batch")
MINIMUM_SIDE = 5  # of which the first padding reflects 4 pixels
CHANNELS = 3


def StylizationNet(
    normalization: str = "instance",
    recalibration: NestedSpec = None,
    filters: int = 32,
    blocks: int = 5,
    input_shape: tuple[int | None, ...] | None = None,
    weights: str | os.PathLike | None = None,
    data_format: str | None = None,
    name: str | None = None,
) -> keras.Model:
    """Build a network that repaints a photograph in the style it was trained for.

    A 9×9 convolution, two 3×3 convolutions of stride 2, residual blocks, twice a nearest-neighbour
    enlargement with a 3×3 convolution, and a 9×9 convolution to RGB; padding by reflection.
    Each convolution but the last is normalized; after an addition there is no ReLU. Images may have
    any size from 5 pixels a side. Modules come at the end of each residual branch, and after each
    of the five other normalizations.

    Args:
        normalization: ``"instance"`` or ``"batch"``.
        recalibration: A spec (``None``, ``"srm"``, ``{"name": "se", "reduction": 8}``, a Layer
            class, a callable), or a list of three entries, for the three convolutions of the
            encoder, the residual blocks, and the two of the decoder: ``[None, "srm", None]``. An
            entry may be a list with a spec for each of them.
        filters: Channels at full resolution; the residual blocks have four times as many.
        blocks: Number of residual blocks.
        input_shape: (H, W, 3); (None, None, 3) by default. Modules that need a static size (global
            Gather-Excite with ``"theta"``) need H and W.
        weights: None, or a ``.weights.h5`` or ``.keras`` file of the same network.
        data_format: ``"channels_last"``, ``"channels_first"`` or None for Keras' global setting.
        name: Of the model; ``"stylization_net"`` by default.

    Returns:
        A functional ``keras.Model`` with an input "image", float RGB (N, H, W, 3) from 0 to 255,
        and an output of the same shape and range, float32 and not clipped.

    Raises:
        ValueError: An argument is not one of the above, or a module needs H and W and they are
            unknown; see the message.

    Example:
        >>> model = StylizationNet("batch", recalibration="srm")
        >>> model(255 * keras.random.uniform((1, 99, 70, 3))).shape
        (1, 99, 70, 3)

    Reference:
        Johnson, Alahi, Fei-Fei, *Perceptual Losses for Real-Time Style Transfer and
        Super-Resolution*, ECCV 2016, as changed in PyTorch's example fast_neural_style (instance
        normalization, enlargement before convolution); Lee et al. 2019, section 4.3.
    """
    one_of("normalization", normalization, NORMALIZATIONS)
    filters = positive_int("filters", filters)
    blocks = positive_int("blocks", blocks)
    parts = Parts(normalization, standardize_data_format(data_format))
    encoder, middle, decoder = check_specs(recalibration, blocks)
    image = image_input(None, input_shape, None, parts.data_format, MINIMUM_SIDE)
    _check_channels(image, parts.data_format)

    x = parts.encode(image, filters, encoder)
    for index, spec in enumerate(middle, start=1):
        x = parts.block(x, 4 * filters, spec, f"block{index}")
    x = parts.decode(x, filters, decoder)
    x = parts.conv(x, CHANNELS, 9, 1, "output", use_bias=True)
    outputs = CropToMatch(parts.data_format, dtype="float32", name="output")([x, image])
    return load_weights(keras.Model(image, outputs, name=name or "stylization_net"), weights)


def check_specs(recalibration: NestedSpec, blocks: int) -> list[list[Spec]]:
    """The specs of encoder, residual blocks and decoder of ``StylizationNet``, each checked."""
    return spec_of_each_block(recalibration, (3, blocks, 2))


@dataclasses.dataclass(frozen=True)
class Parts:
    """The parts of one network, which share its normalization and data format."""

    normalization: str
    data_format: str

    def encode(self, x, filters: int, specs: Sequence[Spec]):
        """A 9×9 convolution and two of stride 2: (H, W) becomes (⌈H/4⌉, ⌈W/4⌉)."""
        shapes = ((filters, 9, 1), (2 * filters, 3, 2), (4 * filters, 3, 2))
        for index, (shape, spec) in enumerate(zip(shapes, specs, strict=True), start=1):
            x = self.unit(x, *shape, spec, f"conv{index}")
        return x

    def block(self, x, filters: int, spec: Spec, name: str):
        """``x + recalibrate(branch(x))``, without a ReLU after the addition."""
        residual = self.unit(x, filters, 3, 1, None, f"{name}_1")
        residual = self.normalize(self.conv(residual, filters, 3, 1, f"{name}_2"), f"{name}_2")
        residual = self.recalibrate(residual, spec, name)
        return layers.Add(name=f"{name}_out")([x, residual])

    def decode(self, x, filters: int, specs: Sequence[Spec]):
        """Twice enlarged to double size and convolved."""
        for index, (width, spec) in enumerate(zip((2 * filters, filters), specs, strict=True), 1):
            enlarge = layers.UpSampling2D(2, data_format=self.data_format, name=f"up{index}")
            x = self.unit(enlarge(x), width, 3, 1, spec, f"up{index}")
        return x

    def unit(self, x, filters: int, kernel: int, strides: int, spec: Spec, name: str):
        """Convolution, normalization, module and ReLU."""
        x = self.normalize(self.conv(x, filters, kernel, strides, name), name)
        return layers.ReLU(name=f"{name}_relu")(self.recalibrate(x, spec, name))

    def conv(self, x, filters: int, kernel: int, strides: int, name: str, use_bias: bool = False):
        """Convolution after reflection padding, with PyTorch's initial kernels."""
        x = ReflectionPadding2D(kernel // 2, self.data_format, name=f"{name}_pad")(x)
        return layers.Conv2D(
            filters,
            kernel,
            strides=strides,
            use_bias=use_bias,
            # U(±1/√fan_in): the learning rate of the example belongs to kernels of this size.
            kernel_initializer=keras.initializers.VarianceScaling(1 / 3, "fan_in", "uniform"),
            data_format=self.data_format,
            name=f"{name}_conv",
        )(x)

    def normalize(self, x, name: str):
        """Batch or instance normalization with learned scale and offset."""
        if self.normalization == "batch":
            return batch_norm(f"{name}_bn", axis=channel_axis(self.data_format))(x)
        return InstanceNormalization(data_format=self.data_format, name=f"{name}_in")(x)

    def recalibrate(self, x, spec: Spec, name: str):
        """The module of ``spec``, where there is one."""
        module = recalibration(spec, name=f"{name}_recalibration", data_format=self.data_format)
        return x if module is None else module(x)


def _check_channels(image, data_format: str) -> None:
    if image.shape[channel_axis(data_format)] != CHANNELS:
        raise ValueError(
            f"`input_shape` must have 3 channels, RGB ({data_format}). "
            f"Received: input_shape={tuple(image.shape)[1:]}"
        )
