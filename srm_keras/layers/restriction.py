"""Weights for some of the channels, taken out of those for all."""

from collections.abc import Sequence

import numpy as np

Weights = Sequence[np.ndarray]


def check_channels(channels: Sequence[int], total: int) -> np.ndarray:
    """Return ``channels`` as an array of ascending positions below ``total``.

    Raises:
        ValueError: they are none, not integers, not ascending, or out of range.
    """
    kept = np.asarray(channels)
    valid = kept.ndim == 1 and len(kept) and np.issubdtype(kept.dtype, np.integer)
    if not valid or kept[0] < 0 or kept[-1] >= total or np.any(np.diff(kept) <= 0):
        raise ValueError(
            f"`channels` must be ascending positions among the {total} channels, at least one. "
            f"Received: channels={channels!r}"
        )
    return kept


def restricted_reduction(channels: int, hidden: int) -> int:
    """Return the largest reduction that leaves a bottleneck over ``channels`` its hidden units.

    ``channels // reduction`` may be more than ``hidden``; ``restricted_bottleneck`` gives the
    units too many no weight.

    Raises:
        ValueError: there are fewer channels than hidden units.
    """
    if channels < hidden:
        raise ValueError(
            "`channels` must be at least as many as the bottleneck has hidden units, "
            f"{hidden}. Received: {channels} channels"
        )
    return channels // hidden


def restricted_bottleneck(
    reduce: Weights, expand: Weights, inputs: np.ndarray, outputs: np.ndarray
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Return the weights of two dense layers or 1×1 convolutions for some inputs and outputs.

    The inputs that are left out count as zero.

    Args:
        reduce: kernel (…, features, hidden) and perhaps bias (hidden,) of the first layer.
        expand: kernel (…, hidden, C) and perhaps bias (C,) of the second.
        inputs: positions of the features to keep.
        outputs: positions of the outputs to keep.

    Returns:
        Weights of both layers, with as many hidden units as ``restricted_reduction`` leads to.
    """
    hidden = reduce[0].shape[-1]
    units = len(outputs) // restricted_reduction(len(outputs), hidden)
    first = [np.take(reduce[0], inputs, axis=-2), *reduce[1:]]
    kernel, *bias = (np.take(weight, outputs, axis=-1) for weight in expand)
    padded = [_with_zeros(weight, units, axis=-1) for weight in first]
    return padded, [_with_zeros(kernel, units, axis=-2), *bias]


def _with_zeros(weight: np.ndarray, size: int, axis: int) -> np.ndarray:
    margins = [(0, 0)] * weight.ndim
    margins[axis] = (0, size - weight.shape[axis])
    return np.pad(weight, margins)
