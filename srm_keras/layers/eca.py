"""Efficient Channel Attention."""

import math
from typing import Any

import keras
from keras import ops

from srm_keras.layers.base import Recalibration
from srm_keras.layers.conventions import over_space
from srm_keras.layers.statistics import spatial_mean
from srm_keras.support.validation import any_number, odd_int, positive_number


@keras.saving.register_keras_serializable(package="srm_keras")
class ECA(Recalibration):
    """Efficient Channel Attention: ``y = x · σ(conv1d_k(mean(x)))`` across neighbouring channels.

    Args:
        gamma: γ of the kernel size rule; see ``eca_kernel_size``.
        beta: b of the same rule.
        kernel_size: An odd k to use instead of the rule.
        data_format: ``"channels_last"``, ``"channels_first"`` or None for Keras' global setting.
        **kwargs: ``gain``, ``neutral`` and others as for every ``Recalibration``.

    Input shape:
        (N, H, W, C) or, for ``channels_first``, (N, C, H, W). N, H and W may be unknown.

    Output shape:
        That of the input. Gates are (N, 1, 1, C) float32, or (N, C, 1, 1).

    Raises:
        ValueError: ``kernel_size`` is even or not positive, ``gamma`` is not positive.

    Reference:
        Wang et al., *ECA-Net: Efficient Channel Attention for Deep Convolutional Neural
        Networks*, CVPR 2020, eqs. 9 and 12.
    """

    can_start_neutral = True

    def __init__(
        self,
        gamma: float = 2,
        beta: float = 1,
        kernel_size: int | None = None,
        data_format: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(data_format=data_format, **kwargs)
        self.gamma = positive_number("gamma", gamma)
        self.beta = any_number("beta", beta)
        self.kernel_size = None if kernel_size is None else odd_int("kernel_size", kernel_size)

    def build_gates(self, input_shape, channels: int) -> None:
        self.conv = keras.layers.Conv1D(
            1,
            self.kernel_size or eca_kernel_size(channels, self.gamma, self.beta),
            padding="same",
            use_bias=False,
            kernel_initializer=self.last_initializer(),
            data_format="channels_last",
            dtype=self.gate_dtype,
            name="conv",
        )
        self.conv.build((None, channels, 1))

    def gates(self, inputs, training: bool | None = None):
        squeezed = ops.expand_dims(spatial_mean(inputs, self.data_format), -1)
        return over_space(ops.sigmoid(self.conv(squeezed))[..., 0], self.data_format)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "gamma": self.gamma,
            "beta": self.beta,
            "kernel_size": self.kernel_size,
        }


def eca_kernel_size(channels: int, gamma: float = 2, beta: float = 1) -> int:
    """The odd k next to ``|log₂(C)/γ + b/γ|`` (Wang et al. 2020, eq. 12): truncated, then odd."""
    k = int(abs((math.log2(channels) + beta) / gamma))
    return k if k % 2 else k + 1
