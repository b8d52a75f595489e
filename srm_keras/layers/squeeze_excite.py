"""Squeeze-and-Excitation."""

from typing import Any

import keras
from keras import ops

from srm_keras.layers.base import Recalibration
from srm_keras.layers.channel_mlp import mlp_of
from srm_keras.layers.conventions import over_space
from srm_keras.layers.statistics import spatial_mean
from srm_keras.support.validation import boolean, positive_int


@keras.saving.register_keras_serializable(package="srm_keras")
class SqueezeExcite(Recalibration):
    """Squeeze-and-Excitation: ``y = x · σ(W₂ ReLU(W₁ mean(x)))``.

    Args:
        reduction: r; the bottleneck has ``max(C // r, 1)`` units.
        use_bias: Whether the two dense layers have biases.
        data_format: ``"channels_last"``, ``"channels_first"`` or None for Keras' global setting.
        **kwargs: ``gain``, ``neutral`` and others as for every ``Recalibration``.

    Input shape:
        (N, H, W, C) or, for ``channels_first``, (N, C, H, W). N, H and W may be unknown.

    Output shape:
        That of the input. Gates are (N, 1, 1, C) float32, or (N, C, 1, 1).

    Reference:
        Hu, Shen, Sun, *Squeeze-and-Excitation Networks*, CVPR 2018, eqs. 2-4.
    """

    can_start_neutral = True

    def __init__(
        self,
        reduction: int = 16,
        use_bias: bool = True,
        data_format: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(data_format=data_format, **kwargs)
        self.reduction = positive_int("reduction", reduction)
        self.use_bias = boolean("use_bias", use_bias)

    def build_gates(self, input_shape, channels: int) -> None:
        self.mlp = mlp_of(self, channels, self.use_bias)
        self.mlp.build((None, channels))

    def gates(self, inputs, training: bool | None = None):
        squeezed = spatial_mean(inputs, self.data_format)
        return over_space(ops.sigmoid(self.mlp(squeezed)), self.data_format)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "reduction": self.reduction,
            "use_bias": self.use_bias,
        }
