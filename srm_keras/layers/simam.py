"""Simple, parameter-free attention."""

from typing import Any

import keras
from keras import ops

from srm_keras.layers.base import Recalibration
from srm_keras.layers.conventions import over_space
from srm_keras.layers.statistics import squared_deviation
from srm_keras.support.validation import positive_number


@keras.saving.register_keras_serializable(package="srm_keras")
class SimAM(Recalibration):
    """Simple attention without weights: a pixel counts by its distance from its channel's mean.

    With the mean μ and the variance v over the M = H·W pixels of a channel, an energy says how
    hard the pixel t is to tell from the others, and its inverse is the logit of the gate:

        1/e = (t − μ)² / (4·(v + λ)) + ½,   y = t · σ(1/e)

    Gates therefore lie in [σ(½), 1], that is from 0.62 on. The variance is that of the authors'
    code, over M − 1 (equation 5 divides by M); a map of one pixel has the variance 0.

    Args:
        e_lambda: λ, by which noise in flat channels is kept small.
        data_format: ``"channels_last"``, ``"channels_first"`` or None for Keras' global setting.
        **kwargs: ``gain`` and others as for every ``Recalibration``.

    Input shape:
        (N, H, W, C) or, for ``channels_first``, (N, C, H, W). N, H and W may be unknown.

    Output shape:
        That of the input, and so are the gates, in float32.

    Raises:
        ValueError: ``e_lambda`` is not positive; ``neutral`` is asked for.

    Reference:
        Yang, Zhang, Li, Xie, *SimAM: A Simple, Parameter-Free Attention Module for Convolutional
        Neural Networks*, ICML 2021, eqs. 5 and 6, figure 3.
    """

    neutral_gain = 1.0  # no gain makes gates that begin at 0.62 and differ from pixel to pixel 1

    def __init__(self, e_lambda: float = 1e-4, data_format: str | None = None, **kwargs: Any):
        super().__init__(data_format=data_format, **kwargs)
        self.e_lambda = positive_number("e_lambda", e_lambda)

    def gates(self, inputs, training: bool | None = None):
        square, variance = squared_deviation(inputs, self.data_format)
        scale = 0.25 / (variance + self.e_lambda)
        return ops.sigmoid(square * over_space(scale, self.data_format) + 0.5)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "e_lambda": self.e_lambda}
