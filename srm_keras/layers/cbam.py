"""Convolutional Block Attention Module."""

from typing import Any

import keras
from keras import ops

from srm_keras.layers.base import Recalibration
from srm_keras.layers.channel_mlp import mlp_of
from srm_keras.layers.conventions import channel_axis, feature_shape, over_space
from srm_keras.layers.statistics import gated, spatial_max, spatial_mean, widen
from srm_keras.support.validation import boolean, odd_int, positive_int


@keras.saving.register_keras_serializable(package="srm_keras")
class CBAM(Recalibration):
    """Convolutional Block Attention Module: channel gates, then spatial gates, multiplied.

    ``M_c = σ(MLP(mean x) + MLP(max x))`` over space with one shared MLP, and with ``x′ = x·M_c``,
    ``M_s = σ(conv_7×7([mean x′, max x′]))`` over channels. Then ``y = x · (M_c · M_s)``.

    Args:
        reduction: r of the shared MLP.
        kernel_size: Odd size of the spatial convolution.
        use_bias: Whether the MLP has biases; the convolution has none.
        data_format: ``"channels_last"``, ``"channels_first"`` or None for Keras' global setting.
        **kwargs: ``gain``, ``neutral`` and others as for every ``Recalibration``.

    Input shape:
        (N, H, W, C) or, for ``channels_first``, (N, C, H, W). N, H and W may be unknown.

    Output shape:
        That of the input, and so are the gates.

    Raises:
        ValueError: ``kernel_size`` is even or not positive.

    Reference:
        Woo et al., *CBAM: Convolutional Block Attention Module*, ECCV 2018, eqs. 2 and 3.
    """

    neutral_gain = 4.0
    can_start_neutral = True

    def __init__(
        self,
        reduction: int = 16,
        kernel_size: int = 7,
        use_bias: bool = True,
        data_format: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(data_format=data_format, **kwargs)
        self.reduction = positive_int("reduction", reduction)
        self.kernel_size = odd_int("kernel_size", kernel_size)
        self.use_bias = boolean("use_bias", use_bias)

    def build_gates(self, input_shape, channels: int) -> None:
        self.mlp = mlp_of(self, channels, self.use_bias)
        self.mlp.build((None, channels))
        self.conv = keras.layers.Conv2D(
            1,
            self.kernel_size,
            padding="same",
            use_bias=False,
            kernel_initializer=self.last_initializer(),
            data_format=self.data_format,
            dtype=self.gate_dtype,
            name="conv",
        )
        self.conv.build(feature_shape(2, self.data_format))

    def gates(self, inputs, training: bool | None = None):
        channel_gates = self.channel_gates(inputs)
        return channel_gates * self.spatial_gates(gated(inputs, channel_gates))

    def channel_gates(self, inputs):
        """Eq. 2: (N, 1, 1, C), or (N, C, 1, 1) for ``channels_first``; float32 or wider."""
        mean = self.mlp(spatial_mean(inputs, self.data_format))
        maximum = self.mlp(spatial_max(inputs, self.data_format))
        return over_space(ops.sigmoid(mean + maximum), self.data_format)

    def spatial_gates(self, inputs):
        """Eq. 3: (N, H, W, 1), or (N, 1, H, W) for ``channels_first``; float32 or wider."""
        axis = channel_axis(self.data_format)
        mean = ops.mean(widen(inputs), axis=axis, keepdims=True)
        maximum = widen(ops.max(inputs, axis=axis, keepdims=True))
        return ops.sigmoid(self.conv(ops.concatenate([mean, maximum], axis=axis)))

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "reduction": self.reduction,
            "kernel_size": self.kernel_size,
            "use_bias": self.use_bias,
        }
