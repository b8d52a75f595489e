"""The parameter-free shortcut of the CIFAR ResNets ("option A")."""

from typing import Any

import keras
from keras import ops

from srm_keras.layers.data_format import channel_axis, spatial_axes, standardize_data_format
from srm_keras.validation import positive_int


@keras.saving.register_keras_serializable(package="srm_keras")
class IdentityShortcut(keras.layers.Layer):
    """Takes every ``strides``-th pixel and appends zero channels up to ``filters``.

    Args:
        filters: number of output channels, at least that of the input.
        strides: step between the pixels kept.
        data_format: ``"channels_last"``, ``"channels_first"`` or None for Keras' global setting.

    Input shape:
        (N, H, W, C) or, for ``channels_first``, (N, C, H, W).

    Output shape:
        (N, ⌈H/strides⌉, ⌈W/strides⌉, filters), or the same with channels first.

    Reference:
        He et al., *Deep Residual Learning for Image Recognition*, CVPR 2016, sections 3.3 and 4.2.
    """

    def __init__(
        self, filters: int, strides: int = 1, data_format: str | None = None, **kwargs: Any
    ):
        super().__init__(**kwargs)
        self.filters = positive_int("filters", filters)
        self.strides = positive_int("strides", strides)
        self.data_format = standardize_data_format(data_format)

    def call(self, inputs):
        axis = channel_axis(self.data_format)
        step = slice(None, None, self.strides)
        x = inputs[:, step, step] if axis == -1 else inputs[:, :, step, step]
        pads = [(0, 0)] * 4
        pads[axis] = (0, self.filters - inputs.shape[axis])
        return ops.pad(x, pads)

    def compute_output_shape(self, input_shape):
        shape = list(input_shape)
        shape[channel_axis(self.data_format)] = self.filters
        for axis in spatial_axes(self.data_format):
            shape[axis] = None if shape[axis] is None else -(-shape[axis] // self.strides)
        return tuple(shape)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "filters": self.filters,
            "strides": self.strides,
            "data_format": self.data_format,
        }
