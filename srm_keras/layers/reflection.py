"""Padding by reflection, and convolutions that pad so."""

from typing import Any

import keras
from keras import ops

from srm_keras.layers.conventions import spatial_axes, standardize_data_format
from srm_keras.support.validation import positive_int


@keras.saving.register_keras_serializable(package="srm_keras")
class ReflectionPadding2D(keras.layers.Layer):
    """Pads height and width by reflection about the border pixels, which are not repeated.

    ``[a, b, c, d]`` padded by 2 is ``[c, b, a, b, c, d, c, b]``: ``torch.nn.ReflectionPad2d``,
    ``numpy.pad`` with ``mode="reflect"``. Unlike zeros, this draws no frame around a picture.

    Args:
        padding: Pixels on each of the four sides.
        data_format: ``"channels_last"``, ``"channels_first"`` or None for Keras' global setting.

    Input shape:
        (N, H, W, C) or, for ``channels_first``, (N, C, H, W), any floating dtype. H and W may be
        unknown.

    Output shape:
        (N, H + 2·padding, W + 2·padding, C), or the same with channels first; dtype of the input.

    Raises:
        ValueError: ``padding`` is not a positive integer; the input is not 4-D; or a known side is
            not larger than ``padding``, so that there is not enough to reflect.

    Reference:
        Johnson et al., *Perceptual Losses for Real-Time Style Transfer and Super-Resolution*,
        ECCV 2016, supplementary material, section 1.
    """

    def __init__(self, padding: int = 1, data_format: str | None = None, **kwargs: Any):
        super().__init__(**kwargs)
        self.padding = positive_int("padding", padding)
        self.data_format = standardize_data_format(data_format)
        self.input_spec = keras.layers.InputSpec(ndim=4)

    def call(self, inputs):
        self._check_sides(inputs.shape)
        pads = [(0, 0)] * 4
        for axis in spatial_axes(self.data_format):
            pads[axis] = (self.padding, self.padding)
        return ops.pad(inputs, pads, mode="reflect")

    def compute_output_shape(self, input_shape):
        self._check_sides(input_shape)
        shape = list(input_shape)
        for axis in spatial_axes(self.data_format):
            shape[axis] = None if shape[axis] is None else shape[axis] + 2 * self.padding
        return tuple(shape)

    def _check_sides(self, shape) -> None:
        """JAX would reflect back and forth where the other backends fail; all shall fail."""
        sides = [shape[axis] for axis in spatial_axes(self.data_format)]
        if any(side is not None and side <= self.padding for side in sides):
            raise ValueError(
                f"`padding` must be smaller than height and width ({self.data_format}), which are "
                f"reflected. Received: padding={self.padding}, input of shape {tuple(shape)}"
            )

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "padding": self.padding,
            "data_format": self.data_format,
        }


@keras.saving.register_keras_serializable(package="srm_keras")
class ReflectionConv2D(keras.layers.Conv2D):
    """``keras.layers.Conv2D`` of stride 1 that pads with mirrored pixels instead of zeros.

    Zeros draw a frame around what a decoder makes of the features; it is strongest in images of
    little contrast. The arguments are those of ``Conv2D``, of which ``padding`` must be
    ``"same"``, ``strides`` and ``dilation_rate`` 1, and the sides of the kernel odd.

    Input shape:
        (N, H, W, C), H and W larger than half the kernel's.

    Output shape:
        (N, H, W, filters).

    Raises:
        ValueError: An argument is not one of these.
    """

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        plain = self.strides == self.dilation_rate == (1, 1) and self.padding == "same"
        odd = all(size % 2 for size in self.kernel_size)
        if not (plain and odd and self.data_format == "channels_last"):
            raise ValueError(
                "ReflectionConv2D needs padding='same', strides and dilation_rate of 1, an odd "
                f"kernel and channels last. Received: padding={self.padding!r}, "
                f"strides={self.strides}, dilation_rate={self.dilation_rate}, "
                f"kernel_size={self.kernel_size}, data_format={self.data_format!r}"
            )

    def convolution_op(self, inputs, kernel):
        rows, columns = (size // 2 for size in self.kernel_size)
        sides = [(0, 0), (rows, rows), (columns, columns), (0, 0)]
        padded = ops.pad(inputs, sides, mode="reflect")
        return ops.conv(padded, kernel, padding="valid", data_format=self.data_format)


@keras.saving.register_keras_serializable(package="srm_keras")
class PadToMultiple(keras.layers.Layer):
    """Pads images at the bottom and at the right to a multiple of a number of pixels.

    What is added mirrors the image, edge pixels included, as often as it takes: so every size,
    down to one pixel, can be padded. An image whose sides are multiples stays as it is.

    Args:
        multiple: The height and the width become multiples of it...
        minimum: ...and at least this, itself a multiple. By default ``multiple``.
        **kwargs: ``name``, ``dtype`` as for every Keras layer.

    Input shape:
        (N, H, W, C), any dtype; N, H and W may be unknown.

    Output shape:
        (N, H', W', C): H' and W' are the next multiples.

    Raises:
        ValueError: ``multiple`` is no positive integer, or ``minimum`` no multiple of it.
    """

    def __init__(self, multiple: int, minimum: int | None = None, **kwargs: Any):
        super().__init__(**kwargs)
        self.multiple = positive_int("multiple", multiple)
        self.minimum = positive_int("minimum", multiple if minimum is None else minimum)
        if self.minimum % self.multiple:
            raise ValueError(
                f"`minimum` must be a multiple of {multiple}. Received: minimum={minimum}"
            )
        self.input_spec = keras.layers.InputSpec(ndim=4)

    def call(self, inputs):
        for axis in (1, 2):
            side = ops.shape(inputs)[axis]
            if not isinstance(side, int) or side != self._padded(side):
                inputs = ops.take(inputs, self._mirrored(side), axis=axis)
        return inputs

    def _padded(self, side):
        whole = -(-side // self.multiple) * self.multiple
        if isinstance(side, int):
            return max(whole, self.minimum)
        return ops.maximum(whole, self.minimum)

    def _mirrored(self, side):
        """The pixel of the image that each pixel of the padded one shows."""
        place = ops.arange(self._padded(side), dtype="int32") % (2 * side)
        return ops.minimum(place, 2 * side - 1 - place)

    def compute_output_shape(self, input_shape):
        batch, height, width, channels = input_shape
        sides = [None if side is None else self._padded(side) for side in (height, width)]
        return (batch, *sides, channels)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "multiple": self.multiple, "minimum": self.minimum}
