"""The channel-wise fully connected layer (CFC)."""

from typing import Any

import keras
import numpy as np
from keras import ops

from srm_keras.support.validation import boolean


def initializer(name: str, value: Any) -> Any:
    """Return what ``keras.initializers.get`` makes of ``value``, else raise ``ValueError``."""
    try:
        return keras.initializers.get(value)
    except (TypeError, ValueError):
        raise ValueError(
            f"`{name}` must be a Keras initializer or the name of one. Received: {name}={value!r}"
        ) from None


@keras.saving.register_keras_serializable(package="srm_keras")
class ChannelwiseDense(keras.layers.Layer):
    """A dense layer with one output a channel and no mixing of channels: ``z_nc = w_c · t_nc``.

    The layer has C·d weights (and C biases), unlike a convolution over the channels, which would
    have C²·d.

    Args:
        use_bias: Add one bias a channel. Off by default: in SRM the batch norm that follows
            holds it.
        kernel_initializer: Of the (C, d) kernel. Zeros by default, so that every SRM gate starts
            at 0.5.

    Input shape:
        (N, C, d): d features for each channel. C and d must be static.

    Output shape:
        (N, C).

    Reference:
        Lee et al., *SRM: A Style-based Recalibration Module for Convolutional Neural Networks*,
        ICCV 2019, eq. 4.
    """

    def __init__(self, use_bias: bool = False, kernel_initializer="zeros", **kwargs: Any):
        super().__init__(**kwargs)
        self.use_bias = boolean("use_bias", use_bias)
        self.kernel_initializer = initializer("kernel_initializer", kernel_initializer)

    def build(self, input_shape) -> None:
        if len(input_shape) != 3 or None in input_shape[1:]:
            raise ValueError(
                "ChannelwiseDense expects (batch, channels, features) with static channels and "
                f"features. Received: input_shape={tuple(input_shape)}"
            )
        self.kernel = self.add_weight(
            shape=tuple(input_shape[1:]), initializer=self.kernel_initializer, name="kernel"
        )
        self.bias = None
        if self.use_bias:
            self.bias = self.add_weight(shape=(input_shape[1],), initializer="zeros", name="bias")

    def call(self, inputs):
        z = ops.sum(inputs * self.kernel, axis=-1)
        return z if self.bias is None else z + self.bias

    def affine_weights(self, scale: np.ndarray, offset: np.ndarray) -> list[np.ndarray]:
        """Kernel and bias of the layer that computes ``scale·z + offset``; both are (C,)."""
        bias = 0.0 if self.bias is None else ops.convert_to_numpy(self.bias)
        return [ops.convert_to_numpy(self.kernel) * scale[:, None], bias * scale + offset]

    def compute_output_shape(self, input_shape):
        return tuple(input_shape[:-1])

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "use_bias": self.use_bias,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
        }
