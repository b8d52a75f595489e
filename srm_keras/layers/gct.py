"""Gated channel transformation."""

from typing import Any

import keras
from keras import ops

from srm_keras.layers.base import Recalibration
from srm_keras.layers.conventions import over_space
from srm_keras.layers.statistics import spatial_sum, widen
from srm_keras.support.validation import boolean, one_of, positive_number

MODES = ("l2", "l1")


@keras.saving.register_keras_serializable(package="srm_keras")
class GCT(Recalibration):
    """Gated channel transformation: channels compete by their norms, with three weights each.

    The norm s of each channel over the map, times α, is divided by the norm of all channels; an
    affine map of the quotient ŝ gates the channel:

        s_c = α_c·‖x_c‖,   ŝ_c = s_c / √(mean_c s² + ε),   y_c = x_c · (1 + tanh(γ_c·ŝ_c + β_c))

    Since 1 + tanh(z) = 2·σ(2z), the gates here are σ(2z), in [0, 1], and ``gain`` is 2 by default.
    γ and β start at zero and α at one: the module begins as the identity, as published.

    Args:
        mode: The norm of channel and channels: ``"l2"``, or ``"l1"``, where s_c = α_c·Σ|x_c| is
            divided by mean_c |s| + ε.
        after_relu: Whether no input is negative, so that ``"l1"`` need not take the magnitude;
            unused by ``"l2"``.
        epsilon: ε; ``"l2"`` adds it under the root of the channel's norm too.
        gain: The factor of the gates.
        data_format: ``"channels_last"``, ``"channels_first"`` or None for Keras' global setting.
        **kwargs: ``neutral``, which changes nothing, and others as for every ``Recalibration``.

    Input shape:
        (N, H, W, C) or, for ``channels_first``, (N, C, H, W). N, H and W may be unknown.

    Output shape:
        That of the input. Gates are (N, 1, 1, C) float32, or (N, C, 1, 1).

    Raises:
        ValueError: An argument is not one of the above; see the message.

    Reference:
        Yang, Zhu, Wu, Yang, *Gated Channel Transformation for Visual Recognition*, CVPR 2020,
        eqs. 2-4; ε is added to the mean over the channels as in the authors' code, where equation
        3 adds it to the sum.
    """

    can_start_neutral = True

    def __init__(
        self,
        mode: str = "l2",
        after_relu: bool = False,
        epsilon: float = 1e-5,
        gain: float = 2.0,
        data_format: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(data_format=data_format, gain=gain, **kwargs)
        self.mode = one_of("mode", mode, MODES)
        self.after_relu = boolean("after_relu", after_relu)
        self.epsilon = positive_number("epsilon", epsilon)

    def build_gates(self, input_shape, channels: int) -> None:
        self.alpha = self._weight("alpha", channels, "ones")
        self.gamma = self._weight("gamma", channels, "zeros")
        self.beta = self._weight("beta", channels, "zeros")

    def _weight(self, name: str, channels: int, initializer: str):
        return self.add_weight(
            shape=(channels,),
            initializer=initializer,
            dtype=self.gate_dtype,
            autocast=False,
            name=name,
        )

    def gates(self, inputs, training: bool | None = None):
        embedding = self._norm_of_channel(inputs) * self.alpha
        z = embedding * self.gamma / self._norm_of_channels(embedding) + self.beta
        return over_space(ops.sigmoid(2.0 * z), self.data_format)

    def _norm_of_channel(self, inputs):
        """‖x_c‖ over the map: (N, C)."""
        x = widen(inputs)
        if self.mode == "l2":
            return ops.sqrt(spatial_sum(ops.square(x), self.data_format) + self.epsilon)
        return spatial_sum(x if self.after_relu else ops.abs(x), self.data_format)

    def _norm_of_channels(self, embedding):
        """What the embedding (N, C) is divided by: (N, 1)."""
        if self.mode == "l2":
            mean = ops.mean(ops.square(embedding), axis=-1, keepdims=True)
            return ops.sqrt(mean + self.epsilon)
        return ops.mean(ops.abs(embedding), axis=-1, keepdims=True) + self.epsilon

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "mode": self.mode,
            "after_relu": self.after_relu,
            "epsilon": self.epsilon,
        }
