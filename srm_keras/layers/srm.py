"""The Style-based Recalibration Module."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from srm_keras.layers.base import Recalibration
from srm_keras.layers.channel_mlp import ChannelMLP, mlp_of
from srm_keras.layers.channelwise_dense import ChannelwiseDense, initializer
from srm_keras.layers.conventions import MOMENTUM, batch_norm, inference_affine, over_space
from srm_keras.layers.style_pooling import StylePooling, check_pooling
from srm_keras.support.validation import boolean, fraction, one_of, positive_int, positive_number

INTEGRATIONS = ("cfc", "mlp")


@keras.saving.register_keras_serializable(package="srm_keras")
class SRM(Recalibration):
    """Style-based Recalibration Module: ``y = x · σ(BN(w_c · [mean, std]))``.

    Style pooling describes each channel by its mean and standard deviation; style integration
    (channel-wise fully connected layer, batch norm over the batch, sigmoid) turns the two numbers
    into the channel's gate, with no look at other channels. The defaults are the paper's module:
    2C weights and 2C batch norm parameters. The other options are its ablations.

    Args:
        pooling: Statistics of a channel, any of ``"avg"``, ``"std"``, ``"max"`` (Table 6).
        integration: ``"cfc"``, or ``"mlp"``: the statistics side by side through SE's two dense
            layers (Table 7).
        batch_norm: Normalize before the sigmoid (Table 7). Without it the CFC has a bias, which
            otherwise lies in the batch norm.
        reduction: Of the MLP; unused by ``"cfc"``.
        unbiased: Standard deviation over H·W − 1, for weights trained with ``torch.std``.
        epsilon: Added to the variance under the root of the standard deviation.
        momentum: Of the batch norm's moving averages, in [0, 1]; 0.9 is what torch calls 0.1.
        cfc_initializer: Of the CFC's kernel, whatever ``keras.initializers.get`` takes. Zeros by
            default, so that every gate starts at 0.5; unused by ``"mlp"`` and with ``neutral``.
        data_format: ``"channels_last"``, ``"channels_first"`` or None for Keras' global setting.
        **kwargs: ``gain``, ``neutral`` and others as for every ``Recalibration``.

    Input shape:
        (N, H, W, C) or, for ``channels_first``, (N, C, H, W). N, H and W may be unknown.

    Output shape:
        That of the input. Gates are (N, 1, 1, C) float32, or (N, C, 1, 1).

    Raises:
        ValueError: An argument is not one of the above; see the message.

    Example:
        >>> x = keras.random.normal((8, 56, 56, 256))
        >>> srm_keras.layers.SRM()(x).shape
        (8, 56, 56, 256)

    Reference:
        Lee, Kim, Nam, *SRM: A Style-based Recalibration Module for Convolutional Neural
        Networks*, ICCV 2019, section 3, eqs. 1-9.
    """

    can_start_neutral = True

    def __init__(
        self,
        pooling: Sequence[str] = ("avg", "std"),
        integration: str = "cfc",
        batch_norm: bool = True,
        reduction: int = 16,
        unbiased: bool = False,
        epsilon: float = 1e-5,
        momentum: float = MOMENTUM,
        cfc_initializer="zeros",
        data_format: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(data_format=data_format, **kwargs)
        self.pooling = check_pooling(pooling)
        self.integration = one_of("integration", integration, INTEGRATIONS)
        self.batch_norm = boolean("batch_norm", batch_norm)
        self.reduction = positive_int("reduction", reduction)
        self.unbiased = boolean("unbiased", unbiased)
        self.epsilon = positive_number("epsilon", epsilon)
        self.momentum = fraction("momentum", momentum)
        self.cfc_initializer = initializer("cfc_initializer", cfc_initializer)

    def build_gates(self, input_shape, channels: int) -> None:
        self.style_pooling = StylePooling(
            self.pooling,
            epsilon=self.epsilon,
            unbiased=self.unbiased,
            data_format=self.data_format,
            dtype=self.dtype_policy,
            name="style_pooling",
        )
        self.style_pooling.build(input_shape)
        self.encoder = self._encoder(channels)
        self.encoder.build(self._style_shape(channels))
        self.bn = None
        if self.batch_norm:
            self.bn = batch_norm("bn", dtype=self.gate_dtype, momentum=self.momentum)
            self.bn.build((None, channels))

    def _encoder(self, channels: int) -> ChannelwiseDense | ChannelMLP:
        """What comes last before the sigmoid but for a batch norm, which maps zeros to zeros."""
        if self.integration == "cfc":
            return ChannelwiseDense(
                use_bias=not self.batch_norm,
                kernel_initializer=self.last_initializer(self.cfc_initializer),
                dtype=self.gate_dtype,
                name="cfc",
            )
        return mlp_of(self, channels)

    def gates(self, inputs, training: bool | None = None):
        t = self.style_pooling(inputs)
        z = self.integrate(t)
        if self.bn is not None:
            z = self.bn(z, training=training)
        return over_space(ops.sigmoid(z), self.data_format)

    def integrate(self, t):
        """Encode the style ``t`` (N, C, d) as ``z`` (N, C); eq. 4 for the CFC."""
        if self.integration == "mlp":
            by_statistic = ops.transpose(t, (0, 2, 1))
            t = ops.reshape(by_statistic, self._style_shape(t.shape[1], batch=-1))
        return self.encoder(t)

    def _style_shape(self, channels: int, batch: int | None = None):
        statistics = len(self.pooling)
        if self.integration == "cfc":
            return (batch, channels, statistics)
        return (batch, statistics * channels)

    def folded(self) -> "SRM":
        """Return a built copy without batch norm: ``w′ = w·γ/√(v+ε)``, ``b′ = β − γ·m/√(v+ε)``."""
        if self.bn is None:
            return super().folded()
        layer = self._rebuilt(batch_norm=False)
        layer.encoder.set_weights(self.encoder.affine_weights(*inference_affine(self.bn)))
        return layer

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "pooling": self.pooling,
            "integration": self.integration,
            "batch_norm": self.batch_norm,
            "reduction": self.reduction,
            "unbiased": self.unbiased,
            "epsilon": self.epsilon,
            "momentum": self.momentum,
            "cfc_initializer": keras.initializers.serialize(self.cfc_initializer),
        }
