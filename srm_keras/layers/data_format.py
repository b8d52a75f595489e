"""Where the channels are: axes and shapes for ``channels_last`` and ``channels_first``."""

import keras

from srm_keras.validation import one_of


def standardize_data_format(data_format: str | None) -> str:
    """Return ``data_format``, or Keras' global setting when it is None."""
    if data_format is None:
        return keras.config.image_data_format()
    return one_of("data_format", data_format, ("channels_last", "channels_first"))


def channel_axis(data_format: str) -> int:
    """Axis of the channels in a 4-D feature map."""
    return -1 if data_format == "channels_last" else 1


def spatial_axes(data_format: str) -> tuple[int, int]:
    """Axes of height and width in a 4-D feature map."""
    return (1, 2) if data_format == "channels_last" else (2, 3)


def feature_shape(channels: int, data_format: str) -> tuple[int | None, ...]:
    """Static shape of a feature map of which only the number of channels is known."""
    if data_format == "channels_last":
        return (None, None, None, channels)
    return (None, channels, None, None)


def over_space(x, data_format: str):
    """Reshape a per-channel (N, C) tensor so that it broadcasts over height and width."""
    channels = x.shape[-1]
    shape = (-1, 1, 1, channels) if data_format == "channels_last" else (-1, channels, 1, 1)
    return keras.ops.reshape(x, shape)
