"""Cropping to the size of another map."""

from typing import Any

import keras
from keras import ops

from srm_keras.layers.data_format import channel_axis, spatial_axes, standardize_data_format


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
