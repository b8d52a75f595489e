"""Perceptual losses: what makes two pictures alike in content and in style.

Each returns one float32 number for each example, whatever the dtype of the features, so that a
trainer may average them over any split of a batch.
"""

from collections.abc import Sequence

from keras import ops


def gram_matrix(features):
    """Correlations of the channels over the map: ``G = FᵀF / (C·H·W)`` with F (H·W, C).

    Args:
        features: (N, H, W, C), any floating dtype.

    Returns:
        (N, C, C) float32.

    Reference:
        Johnson et al. 2016, eq. 4.
    """
    _, height, width, channels = ops.shape(features)
    wide = ops.cast(features, "float32")
    flat = ops.reshape(wide, (-1, height * width, channels))
    elements = ops.cast(channels * height * width, "float32")
    return ops.matmul(ops.transpose(flat, (0, 2, 1)), flat) / elements


def content_loss(features, target):
    """Mean squared difference of two (N, H, W, C) maps of features; (N,) float32.

    Reference:
        Johnson et al. 2016, eq. 2.
    """
    return _mean_square(_wide(features) - _wide(target))


def style_loss(grams: Sequence, target_grams: Sequence):
    """Sum over layers of the mean squared difference of Gram matrices; (N,) float32.

    The mean over the C² entries is that of PyTorch's example fast_neural_style; Johnson et al.
    2016, eq. 5, have the sum.

    Args:
        grams: for each layer (N, C, C).
        target_grams: for each layer (N, C, C), or (1, C, C) for all examples.
    """
    pairs = zip(grams, target_grams, strict=True)
    return sum(_mean_square(_wide(gram) - _wide(target)) for gram, target in pairs)


def total_variation(images):
    """Mean squared difference of neighbours, down plus across; (N,) float32.

    Means, not sums: a weight for it serves pictures of any size.

    Args:
        images: (N, H, W, C), at least 2 pixels a side.

    Reference:
        Mahendran and Vedaldi, *Understanding Deep Image Representations by Inverting Them*, CVPR
        2015, section 2.2, with β = 2; used by Johnson et al. 2016, section 3.2.
    """
    x = _wide(images)
    return _mean_square(x[:, 1:] - x[:, :-1]) + _mean_square(x[:, :, 1:] - x[:, :, :-1])


def _wide(x):
    return ops.cast(x, "float32")


def _mean_square(difference):
    axes = tuple(range(1, len(difference.shape)))
    return ops.mean(ops.square(difference), axis=axes)
