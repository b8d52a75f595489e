"""Style pooling: what each channel of a feature map looks like, in a few numbers."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from srm_keras.layers.conventions import channel_axis, standardize_data_format
from srm_keras.layers.statistics import spatial_max, spatial_mean, spatial_mean_std
from srm_keras.support.validation import boolean, one_of, positive_number

POOLINGS = ("avg", "std", "max")


@keras.saving.register_keras_serializable(package="srm_keras")
class StylePooling(keras.layers.Layer):
    """Summarizes each channel by statistics over height and width: ``t_nc = [μ_nc, σ_nc]``.

    Args:
        pooling: Which statistics and in which order; any of ``"avg"``, ``"std"``, ``"max"``, each
            at most once (Lee et al. 2019, Table 6). The paper's SRM is ``("avg", "std")``.
        epsilon: Added to the variance under the root of the standard deviation.
        unbiased: Divide by H·W − 1 in the variance, as ``torch.std`` does. The paper's eq. 2, and
            the default, divides by H·W.
        data_format: ``"channels_last"``, ``"channels_first"`` or None for Keras' global setting.

    Input shape:
        (N, H, W, C) or, for ``channels_first``, (N, C, H, W). H and W may be unknown.

    Output shape:
        (N, C, d) for d statistics; float32 (float64 for float64 input) whatever the compute dtype.

    Raises:
        ValueError: ``pooling`` is empty, names something else, or names a statistic twice.

    Reference:
        Lee et al. 2019, section 3.1, eqs. 1-3.
    """

    def __init__(
        self,
        pooling: Sequence[str] = ("avg", "std"),
        epsilon: float = 1e-5,
        unbiased: bool = False,
        data_format: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.pooling = check_pooling(pooling)
        self.epsilon = positive_number("epsilon", epsilon)
        self.unbiased = boolean("unbiased", unbiased)
        self.data_format = standardize_data_format(data_format)

    def call(self, inputs):
        if self.pooling == ("avg", "std"):
            return self._mean_std(inputs)
        return ops.concatenate([self._statistic(name, inputs) for name in self.pooling], axis=-1)

    def _statistic(self, name: str, inputs):
        if name == "avg":
            return ops.expand_dims(spatial_mean(inputs, self.data_format), -1)
        if name == "max":
            return ops.expand_dims(spatial_max(inputs, self.data_format), -1)
        return self._mean_std(inputs)[..., 1:]

    def _mean_std(self, inputs):
        return spatial_mean_std(inputs, self.data_format, self.epsilon, self.unbiased)

    def compute_output_shape(self, input_shape):
        return (input_shape[0], input_shape[channel_axis(self.data_format)], len(self.pooling))

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "pooling": self.pooling,
            "epsilon": self.epsilon,
            "unbiased": self.unbiased,
            "data_format": self.data_format,
        }


def check_pooling(pooling: Sequence[str]) -> tuple[str, ...]:
    """Return ``pooling`` as a tuple of distinct statistics, or raise ``ValueError``."""
    if isinstance(pooling, str) or not isinstance(pooling, Sequence) or not pooling:
        raise ValueError(
            f"`pooling` must be a non-empty list of {list(POOLINGS)}. Received: pooling={pooling!r}"
        )
    for name in pooling:
        one_of("pooling", name, POOLINGS)
    if len(set(pooling)) < len(pooling):
        raise ValueError(
            f"`pooling` must not name a statistic twice. Received: pooling={pooling!r}"
        )
    return tuple(pooling)
