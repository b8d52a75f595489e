"""Padding to a size that a network can halve as often as it does."""

from typing import Any

import keras
from keras import ops

from srm_keras.validation import positive_int


@keras.saving.register_keras_serializable(package="srm_keras")
class PadToMultiple(keras.layers.Layer):
    """Pads images at the bottom and at the right to a multiple of a number of pixels.

    What is added mirrors the image, edge pixels included, as often as it takes: so every size,
    down to one pixel, can be padded. An image whose sides are multiples stays as it is.

    Args:
        multiple: the height and the width become multiples of it...
        minimum: ...and at least this, itself a multiple. By default ``multiple``.
        **kwargs: ``name``, ``dtype`` as for every Keras layer.

    Input shape:
        (N, H, W, C), any dtype; N, H and W may be unknown.

    Output shape:
        (N, H', W', C): H' and W' are the next multiples.

    Raises:
        ValueError: ``multiple`` is no positive integer, or ``minimum`` no multiple of it.
    """

    def __init__(self, multiple: int, minimum: int | None = None, **kwargs: Any):
        super().__init__(**kwargs)
        self.multiple = positive_int("multiple", multiple)
        self.minimum = positive_int("minimum", multiple if minimum is None else minimum)
        if self.minimum % self.multiple:
            raise ValueError(
                f"`minimum` must be a multiple of {multiple}. Received: minimum={minimum}"
            )
        self.input_spec = keras.layers.InputSpec(ndim=4)

    def call(self, inputs):
        for axis in (1, 2):
            side = ops.shape(inputs)[axis]
            if not isinstance(side, int) or side != self._padded(side):
                inputs = ops.take(inputs, self._mirrored(side), axis=axis)
        return inputs

    def _padded(self, side):
        whole = -(-side // self.multiple) * self.multiple
        if isinstance(side, int):
            return max(whole, self.minimum)
        return ops.maximum(whole, self.minimum)

    def _mirrored(self, side):
        """The pixel of the image that each pixel of the padded one shows."""
        place = ops.arange(self._padded(side), dtype="int32") % (2 * side)
        return ops.minimum(place, 2 * side - 1 - place)

    def compute_output_shape(self, input_shape):
        batch, height, width, channels = input_shape
        sides = [None if side is None else self._padded(side) for side in (height, width)]
        return (batch, *sides, channels)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "multiple": self.multiple, "minimum": self.minimum}
