"""A convolution whose input goes on beyond its borders as in a mirror."""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="srm_keras")
class ReflectionConv2D(keras.layers.Conv2D):
    """``keras.layers.Conv2D`` of stride 1 that pads with mirrored pixels instead of zeros.

    Zeros draw a frame around what a decoder makes of the features; it is strongest in images of
    little contrast. The arguments are those of ``Conv2D``, of which ``padding`` must be
    ``"same"``, ``strides`` and ``dilation_rate`` 1, and the sides of the kernel odd.

    Input shape:
        (N, H, W, C), H and W larger than half the kernel's.

    Output shape:
        (N, H, W, filters).

    Raises:
        ValueError: an argument is not one of these.
    """

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        plain = self.strides == self.dilation_rate == (1, 1) and self.padding == "same"
        odd = all(size % 2 for size in self.kernel_size)
        if not (plain and odd and self.data_format == "channels_last"):
            raise ValueError(
                "ReflectionConv2D needs padding='same', strides and dilation_rate of 1, an odd "
                f"kernel and channels last. Received: padding={self.padding!r}, "
                f"strides={self.strides}, dilation_rate={self.dilation_rate}, "
                f"kernel_size={self.kernel_size}, data_format={self.data_format!r}"
            )

    def convolution_op(self, inputs, kernel):
        rows, columns = (size // 2 for size in self.kernel_size)
        sides = [(0, 0), (rows, rows), (columns, columns), (0, 0)]
        padded = ops.pad(inputs, sides, mode="reflect")
        return ops.conv(padded, kernel, padding="valid", data_format=self.data_format)
