"""The two dense layers with a bottleneck that SE, CBAM and SRM's MLP ablation share."""

from typing import Any

import keras
import numpy as np

from srm_keras.support.validation import boolean, positive_int


class FloatDense(keras.layers.Dense):
    """A dense layer that Keras' ``model.quantize`` passes over, with a warning.

    The layer around it could not be made anew from its configuration otherwise: a saved network
    would not load. What a module computes for each image is two small products.
    """

    def quantize(self, mode=None, **kwargs: Any) -> None:
        raise NotImplementedError(
            f"The dense layers of recalibration modules stay as they are: {self.path!r} is not "
            "quantized."
        )


@keras.saving.register_keras_serializable(package="srm_keras")
class ChannelMLP(keras.layers.Layer):
    """Dense(C/r) → ReLU → Dense(C) over a vector of channel statistics.

    Args:
        channels: C, the number of outputs.
        reduction: r. The hidden layer has ``max(C // r, 1)`` units.
        use_bias: Whether both dense layers have biases.
        last_initializer: Name of the initializer of the second layer's kernel.

    Input shape:
        (N, features).

    Output shape:
        (N, C).

    Reference:
        Hu et al., *Squeeze-and-Excitation Networks*, CVPR 2018, eq. 3.
    """

    def __init__(
        self,
        channels: int,
        reduction: int = 16,
        use_bias: bool = True,
        last_initializer: str = "glorot_uniform",
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.channels = positive_int("channels", channels)
        self.reduction = positive_int("reduction", reduction)
        self.use_bias = boolean("use_bias", use_bias)
        self.last_initializer = last_initializer

    def build(self, input_shape) -> None:
        hidden = max(self.channels // self.reduction, 1)
        self.reduce = FloatDense(
            hidden,
            activation="relu",
            use_bias=self.use_bias,
            kernel_initializer="he_normal",
            dtype=self.dtype_policy,
            name="reduce",
        )
        self.expand = FloatDense(
            self.channels,
            use_bias=self.use_bias,
            kernel_initializer=self.last_initializer,
            dtype=self.dtype_policy,
            name="expand",
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
            "last_initializer": self.last_initializer,
        }


def mlp_of(module: Any, channels: int, use_bias: bool = True) -> ChannelMLP:
    """The MLP of a module that has a ``reduction``, for its gates of so many channels."""
    return ChannelMLP(
        channels,
        module.reduction,
        use_bias,
        module.last_initializer(),
        dtype=module.gate_dtype,
        name="mlp",
    )
