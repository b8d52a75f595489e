"""Instance normalization, with learned scales or with those of a style."""

from typing import Any

import keras
from keras import ops

from srm_keras.layers.conventions import channel_axis, over_space, standardize_data_format
from srm_keras.layers.statistics import spatial_mean_std, statistics_dtype
from srm_keras.support.validation import positive_number


@keras.saving.register_keras_serializable(package="srm_keras")
class InstanceNormalization(keras.layers.Layer):
    """Normalizes each channel of each image by itself: ``y = γ·(x − μ_nc)/σ_nc + β``.

    The mean and the deviation are over height and width of one image, in training and inference
    alike, so that what is left of an image does not depend on its contrast: its style is gone.

    ``keras.layers.GroupNormalization(groups=-1)`` computes the same function. This layer exists
    because on torch Keras takes the variance as E[x²] − E[x]² (at a mean of 100 deviations it is
    off by 5e-3, at 1000 by 0.5; here by 1e-5 and 1e-4, where float32 input is to blame), and
    because its hand-written gradient of the statistics keeps nothing of the map's size but the map.

    Args:
        epsilon: Added to the variance under the root of σ; 1e-5 as in PyTorch.
        data_format: ``"channels_last"``, ``"channels_first"`` or None for Keras' global setting.

    Input shape:
        (N, H, W, C) or, for ``channels_first``, (N, C, H, W), floating; N, H and W may be unknown.

    Output shape:
        That of the input, and its dtype. Statistics are float32 or wider whatever that is.

    Raises:
        ValueError: ``epsilon`` is not positive; the input is not 4-D or its number of channels is
            unknown.

    Reference:
        Ulyanov, Vedaldi, Lempitsky, *Instance Normalization: The Missing Ingredient for Fast
        Stylization*, 2016, eq. 5; γ and β as in ``torch.nn.InstanceNorm2d(affine=True)``.
    """

    def __init__(self, epsilon: float = 1e-5, data_format: str | None = None, **kwargs: Any):
        super().__init__(**kwargs)
        self.epsilon = positive_number("epsilon", epsilon)
        self.data_format = standardize_data_format(data_format)
        self.input_spec = keras.layers.InputSpec(ndim=4)

    def build(self, input_shape) -> None:
        axis = channel_axis(self.data_format)
        channels = input_shape[axis]
        if channels is None:
            raise ValueError(
                "InstanceNormalization needs a static number of channels. Received: "
                f"input_shape={tuple(input_shape)} with data_format={self.data_format!r}"
            )
        self.input_spec = keras.layers.InputSpec(ndim=4, axes={axis: channels})
        self.gamma = self.add_weight(
            shape=(channels,), initializer="ones", autocast=False, name="gamma"
        )
        self.beta = self.add_weight(
            shape=(channels,), initializer="zeros", autocast=False, name="beta"
        )

    def call(self, inputs):
        dtype = statistics_dtype(inputs.dtype)
        style = spatial_mean_std(inputs, self.data_format, self.epsilon)
        mean, std = ops.unstack(style, num=2, axis=-1)
        scale = over_space(ops.cast(self.gamma, dtype) / std, self.data_format)
        offset = over_space(ops.cast(self.beta, dtype)[None], self.data_format)
        deviation = ops.cast(inputs, dtype) - over_space(mean, self.data_format)
        return ops.cast(deviation * scale + offset, inputs.dtype)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "epsilon": self.epsilon,
            "data_format": self.data_format,
        }


@keras.saving.register_keras_serializable(package="srm_keras")
class AdaptiveInstanceNormalization(keras.layers.Layer):
    """Gives content features the statistics of style features, channel by channel.

    ``y = σ(s)·(x − μ(x))/σ(x) + μ(s)``: μ and σ are the mean and the standard deviation over
    height and width, for every image and channel. The layer has no weights.

    Statistics and the sum are computed in float32 (float64 under a float64 policy) whatever the
    compute dtype. A channel of x that is constant becomes μ(s), with finite gradients.

    Args:
        epsilon: Added to both variances, under the root.
        data_format: ``"channels_last"``, ``"channels_first"`` or None for Keras' global setting.
        **kwargs: ``name``, ``dtype`` as for every Keras layer.

    Input shape:
        A list of content features (N, H, W, C) and style features (N, H', W', C) or
        (1, H', W', C), floating; with the channels second for ``channels_first``. C must be
        static, the sizes may differ.

    Output shape:
        That of the content features.

    Raises:
        ValueError: The inputs are not two 4-D maps of the same static number of channels, or
            ``epsilon`` is not positive.

    Reference:
        Huang and Belongie, *Arbitrary Style Transfer in Real-time with Adaptive Instance
        Normalization*, ICCV 2017, eq. 8.
    """

    def __init__(self, epsilon: float = 1e-5, data_format: str | None = None, **kwargs: Any):
        super().__init__(**kwargs)
        self.epsilon = positive_number("epsilon", epsilon)
        self.data_format = standardize_data_format(data_format)

    def build(self, input_shape) -> None:
        shapes = [tuple(shape) for shape in input_shape if isinstance(shape, tuple | list)]
        axis = channel_axis(self.data_format)
        channels = {shape[axis] for shape in shapes if len(shape) == 4}
        if [len(shape) for shape in shapes] != [4, 4] or len(channels) != 1 or None in channels:
            raise ValueError(
                "AdaptiveInstanceNormalization expects [content, style], two 4-D feature maps of "
                "the same static number of channels. "
                f"Received: input_shape={input_shape} with data_format={self.data_format!r}"
            )

    def call(self, inputs):
        content, style = inputs
        mean, std = self._statistics(content)
        style_mean, style_std = self._statistics(style)
        x = ops.cast(content, statistics_dtype(ops.dtype(content)))
        return ops.cast((x - mean) * (style_std / std) + style_mean, content.dtype)

    def _statistics(self, x):
        """Mean and standard deviation of each image and channel, broadcast over its pixels."""
        pair = spatial_mean_std(x, self.data_format, self.epsilon)
        return [over_space(each, self.data_format) for each in ops.unstack(pair, 2, axis=-1)]

    def compute_output_shape(self, input_shape):
        return tuple(input_shape[0])

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "epsilon": self.epsilon,
            "data_format": self.data_format,
        }
