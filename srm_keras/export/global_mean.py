"""The mean of each channel, as runtimes compute it exactly enough."""

from keras import layers, ops

LONGEST_SUM = 112 * 112
"""Pixels up to which one float32 sum is exact enough."""


def global_mean(x, name: str):
    """Mean over height and width of a ``channels_last`` map, (N, 1, 1, C).

    LiteRT adds pixel after pixel, so that rounding grows with their number. Maps of many pixels,
    or of an unknown number, are averaged over width and then over height: two short sums.

    Args:
        x: symbolic tensor (N, H, W, C).
        name: of the pooling layer, where one sum will do.
    """
    height, width = x.shape[1:3]
    if height is not None and width is not None and height * width <= LONGEST_SUM:
        return layers.GlobalAveragePooling2D(keepdims=True, name=name)(x)
    return ops.mean(ops.mean(x, axis=2, keepdims=True), axis=1, keepdims=True)
