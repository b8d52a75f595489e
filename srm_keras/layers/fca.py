"""Frequency channel attention: the multi-spectral module of FcaNet."""

import math
from typing import Any

import keras
import numpy as np
from keras import ops

from srm_keras.layers.base import Recalibration
from srm_keras.layers.channel_mlp import mlp_of
from srm_keras.layers.conventions import over_space, spatial_axes
from srm_keras.layers.statistics import widen
from srm_keras.support.validation import one_of, positive_int

GRID = 7
"""Side of the grid in which frequencies are numbered: that of ResNet's last maps."""

# Pairs of frequencies, along height and along width, in order of choice. "top" and "bot" are the
# authors' lists of the components that alone gave the best and the worst ImageNet accuracy.
_ORDERS = {
    "top": "00 01 60 05 02 10 12 40 50 16 30 04 06 03 35 22 46 63 33 53 55 21 61 52 54 32 31 41 23"
    " 20 65 13",
    "low": "00 01 10 11 02 20 21 12 22 03 30 40 04 13 31 05 14 23 32 41 50 06 15 24 33 42 51 60 16"
    " 25 34 43",
    "bot": "66 14 34 36 26 43 11 24 44 45 56 15 42 62 25 51 64 13 65 20 23 41 31 32 54 52 61 21 55"
    " 53 33 63",
}
FREQUENCIES = tuple(f"{order}{count}" for order in _ORDERS for count in (1, 2, 4, 8, 16, 32))


@keras.saving.register_keras_serializable(package="srm_keras")
class FCA(Recalibration):
    """Multi-spectral channel attention: SE, with a component of the map's DCT for the mean.

    Channels are split into as many groups as there are frequencies. Each channel is described by
    the component of its group's pair (u, v) of frequencies in the two-dimensional discrete cosine
    transform of the map, of which the mean is, up to a factor, that of (0, 0):

        t_c = Σ_hw x_hwc · b_u(h; H) · b_v(w; W),   b_u(h; H) = a_u·cos(πu(h + ½)/H),
        y = x · σ(W₂ ReLU(W₁ t)),   a_0 = √(1/H), else √(2/H)

    The frequencies are those of a 7×7 map. For larger ones they are multiplied by ⌊H/7⌋ and
    ⌊W/7⌋, so that they stay the same per pixel; a map of less than 7 pixels, for which that factor
    is 0, takes ⌊u·H/7⌋.

    Args:
        frequencies: Which and how many, such as ``"top16"``: ``"top"`` and ``"bot"`` for those
            that in the paper do best and worst alone, ``"low"`` for the lowest, and 1, 2, 4, 8, 16
            or 32. Where they do not divide C, the first groups have one channel more; of more
            frequencies than channels the first C are taken.
        reduction: r; the bottleneck has ``max(C // r, 1)`` units. There are no biases.
        size: Side of the grid of the transform, to which maps of another size are brought first by
            the mean over its cells, as the authors do in networks that are trained for one size
            and used for others. By default that of each map.
        data_format: ``"channels_last"``, ``"channels_first"`` or None for Keras' global setting.
        **kwargs: ``gain``, ``neutral`` and others as for every ``Recalibration``.

    Input shape:
        (N, H, W, C) or, for ``channels_first``, (N, C, H, W). N, H and W may be unknown.

    Output shape:
        That of the input. Gates are (N, 1, 1, C) float32, or (N, C, 1, 1).

    Raises:
        ValueError: An argument is not one of the above; see the message.

    Reference:
        Qin, Zhang, Wu, Li, *FcaNet: Frequency Channel Attention Networks*, ICCV 2021, section 3.
    """

    can_start_neutral = True

    def __init__(
        self,
        frequencies: str = "top16",
        reduction: int = 16,
        size: int | None = None,
        data_format: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(data_format=data_format, **kwargs)
        self.frequencies = one_of("frequencies", frequencies, FREQUENCIES)
        self.reduction = positive_int("reduction", reduction)
        self.size = None if size is None else positive_int("size", size)

    def build_gates(self, input_shape, channels: int) -> None:
        self._along_height, self._along_width = frequencies_of_channels(self.frequencies, channels)
        self.mlp = mlp_of(self, channels, use_bias=False)
        self.mlp.build((None, channels))

    def gates(self, inputs, training: bool | None = None):
        component = self.component(inputs)
        return over_space(ops.sigmoid(self.mlp(component)), self.data_format)

    def component(self, inputs):
        """Each channel's component of the DCT: (N, C), float32 or wider."""
        height, width = spatial_axes(self.data_format)
        rows, columns = self.bases(*(ops.shape(inputs)[axis] for axis in (height, width)))
        if self.data_format == "channels_first":
            rows, columns = ops.transpose(rows), ops.transpose(columns)[:, None]
        along_width = ops.sum(widen(inputs) * columns, axis=width)
        return ops.sum(along_width * rows, axis=height)

    def bases(self, height, width):
        """What rows and columns of a map are multiplied by: (H, C) and (W, C), float32 or wider.

        Args:
            height: H, an int or an integer tensor.
            width: W.
        """
        return self._basis(self._along_height, height), self._basis(self._along_width, width)

    def _basis(self, frequencies: np.ndarray, side):
        if self.size is None:
            return _dct(frequencies, side, self.gate_dtype)
        return ops.matmul(
            _cells(side, self.size, self.gate_dtype),
            _dct(frequencies, self.size, self.gate_dtype),
        )

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "frequencies": self.frequencies,
            "reduction": self.reduction,
            "size": self.size,
        }


def frequencies_of_channels(frequencies: str, channels: int) -> np.ndarray:
    """Frequencies in the grid of 7×7, along height and along width, of each channel: (2, C)."""
    order, count = frequencies[:3], int(frequencies[3:])
    pairs = [[int(digit) for digit in pair] for pair in _ORDERS[order].split()[:count]]
    shares = [len(group) for group in np.array_split(np.arange(channels), count)]
    return np.repeat(pairs, shares, axis=0).T.astype("int32")


def _dct(frequencies: np.ndarray, side, dtype: str):
    """The cosines of these frequencies of the grid, a column each, for maps of ``side`` pixels."""
    u = ops.convert_to_tensor(frequencies)
    u = ops.where(side < GRID, u * side // GRID, u * (side // GRID))
    # In integers, so that float32 has all digits of the angle: π·u·(2h + 1)/(2H), less full turns.
    steps = u * (2 * ops.arange(side, dtype="int32")[:, None] + 1) % (4 * side)
    length = ops.cast(side, dtype)
    angle = ops.cast(steps, dtype) * (0.5 * math.pi) / length
    return ops.cos(angle) * ops.sqrt(ops.cast(ops.minimum(u, 1) + 1, dtype) / length)


def _cells(side, size: int, dtype: str):
    """The weights by which ``size`` means over cells take part in ``side`` pixels: (side, size).

    Cell i reaches from pixel ``⌊i·side/size⌋`` to before ``⌈(i + 1)·side/size⌉``: cells overlap
    where ``size`` does not divide ``side``, as PyTorch's ``adaptive_avg_pool2d`` has them.
    """
    cell, pixel = ops.arange(size, dtype="int32"), ops.arange(side, dtype="int32")[:, None]
    first, last = cell * side // size, ((cell + 1) * side - 1) // size
    inside = ops.logical_and(first <= pixel, pixel <= last)
    return ops.cast(inside, dtype) / ops.cast(last - first + 1, dtype)
