"""Padding by mirror images of the borders."""

from typing import Any

import keras
from keras import ops

from srm_keras.layers.data_format import spatial_axes, standardize_data_format
from srm_keras.validation import positive_int


@keras.saving.register_keras_serializable(package="srm_keras")
class ReflectionPadding2D(keras.layers.Layer):
    """Pads height and width by reflection about the border pixels, which are not repeated.

    ``[a, b, c, d]`` padded by 2 is ``[c, b, a, b, c, d, c, b]``: ``torch.nn.ReflectionPad2d``,
    ``numpy.pad`` with ``mode="reflect"``. Unlike zeros, this draws no frame around a picture.

    Args:
        padding: pixels on each of the four sides.
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
