"""The two dense layers with a bottleneck that SE, CBAM and SRM's MLP ablation share."""

from typing import Any

import keras
import numpy as np

from srm_keras.validation import boolean, positive_int


@keras.saving.register_keras_serializable(package="srm_keras")
class ChannelMLP(keras.layers.Layer):
    """Dense(C/r) → ReLU → Dense(C) over a vector of channel statistics.

    Args:
        channels: C, the number of outputs.
        reduction: r. The hidden layer has ``max(C // r, 1)`` units.
        use_bias: whether both dense layers have biases.

    Input shape:
        (N, features).

    Output shape:
        (N, C).

    Reference:
        Hu et al., *Squeeze-and-Excitation Networks*, CVPR 2018, eq. 3.
    """

    def __init__(self, channels: int, reduction: int = 16, use_bias: bool = True, **kwargs: Any):
        super().__init__(**kwargs)
        self.channels = positive_int("channels", channels)
        self.reduction = positive_int("reduction", reduction)
        self.use_bias = boolean("use_bias", use_bias)

    def build(self, input_shape) -> None:
        hidden = max(self.channels // self.reduction, 1)
        self.reduce = keras.layers.Dense(
            hidden,
            activation="relu",
            use_bias=self.use_bias,
            kernel_initializer="he_normal",
            dtype=self.dtype_policy,
            name="reduce",
        )
        self.expand = keras.layers.Dense(
            self.channels, use_bias=self.use_bias, dtype=self.dtype_policy, name="expand"
        )
        self.reduce.build(input_shape)
        self.expand.build((input_shape[0], hidden))

    def call(self, inputs):
        return self.expand(self.reduce(inputs))

    def affine_weights(self, scale: np.ndarray, offset: np.ndarray) -> list[np.ndarray]:
        """Weights of the layer with biases that computes ``scale·z + offset``; both are (C,)."""
        if not self.use_bias:
            raise ValueError("Only a ChannelMLP with biases can absorb an offset.")
        *reduce, kernel, bias = self.get_weights()
        return [*reduce, kernel * scale, bias * scale + offset]

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.channels)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "channels": self.channels,
            "reduction": self.reduction,
            "use_bias": self.use_bias,
        }
