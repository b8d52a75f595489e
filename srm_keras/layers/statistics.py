"""Sums over a feature map: its statistics, each in few passes, and the product with its gates.

All sums are taken in float32 or wider, those of gradients too: the square of a float16 activation
of 300 already overflows, so does a gate's gradient ``Σ dy·x`` over a map of mean 1000, and
``E[x²] − E[x]²`` loses every digit where the mean outweighs the spread.
"""

import keras
from keras import ops

from srm_keras.layers.conventions import over_space, spatial_axes


def statistics_dtype(dtype: str) -> str:
    """The dtype in which statistics of ``dtype`` tensors are computed: float32 or wider."""
    return "float64" if dtype == "float64" else "float32"


def widen(x):
    """``x`` in the dtype of its statistics."""
    return ops.cast(x, statistics_dtype(ops.dtype(x)))


def spatial_sum(x, data_format: str):
    """Sum over height and width: (N, C), float32 or wider.

    Over width first, then over height: short, cache-sized runs, and a two-level (exacter) sum.
    """
    height, width = spatial_axes(data_format)
    return ops.sum(ops.sum(widen(x), axis=width), axis=height)


def _pixels(x, data_format: str):
    """H·W, as a Python number where the shape is static and as a scalar tensor where it is not."""
    height, width = (ops.shape(x)[axis] for axis in spatial_axes(data_format))
    if isinstance(height, int) and isinstance(width, int):
        return float(height * width)
    return ops.cast(height * width, x.dtype)


def _divisor(x, data_format: str, unbiased: bool):
    """By what a variance divides: H·W, or H·W − 1 (1 for a map of one pixel)."""
    pixels = _pixels(x, data_format)
    if not unbiased:
        return pixels
    return max(pixels - 1.0, 1.0) if isinstance(pixels, float) else ops.maximum(pixels - 1.0, 1.0)


def spatial_mean(x, data_format: str):
    """Mean over height and width (Lee et al. 2019, eq. 1): (N, C), float32 or wider."""
    x = widen(x)
    return spatial_sum(x, data_format) / _pixels(x, data_format)


def spatial_max(x, data_format: str):
    """Maximum over height and width: (N, C), float32 or wider."""
    return widen(ops.max(x, axis=spatial_axes(data_format)))


def squared_deviation(x, data_format: str):
    """``(x − μ)²`` of every pixel, and its sum over H·W − 1: the unbiased variance (N, C).

    Both are float32 or wider; of a map of one pixel both are 0.
    """
    mean = over_space(spatial_mean(x, data_format), data_format)
    square = ops.square(widen(x) - mean)
    return square, spatial_sum(square, data_format) / _divisor(square, data_format, unbiased=True)


def spatial_mean_std(x, data_format: str, epsilon: float, unbiased: bool = False):
    """Mean and standard deviation over height and width (Lee et al. 2019, eqs. 1-3).

    The variance is two-pass and biased (eq. 2), and ``epsilon`` is added to it under the root,
    which keeps value and gradient finite where a channel is constant.

    The gradient is written by hand. With ``P = H·W`` and upstream gradients ``dμ`` and ``dσ``

        ∂/∂x = dμ/P + dσ·(x − μ)/(P·σ) = A + B·x,   B = dσ/(P·σ),   A = dμ/P − B·μ,

    so that nothing of the size of ``x`` is kept for it but ``x`` itself.

    Args:
        x: 4-D feature map, any floating dtype.
        data_format: ``"channels_last"`` or ``"channels_first"``.
        epsilon: Added to the variance.
        unbiased: Divide the squared deviations by P − 1 instead of P (by 1 where P = 1), as
            ``torch.std`` does.

    Returns:
        (N, C, 2) tensor ``[μ, σ]``, float32 or wider.
    """

    @ops.custom_gradient
    def mean_std(x):
        wide = widen(x)
        pixels = _pixels(wide, data_format)
        divisor = _divisor(wide, data_format, unbiased)
        mean = spatial_sum(wide, data_format) / pixels
        deviation = wide - over_space(mean, data_format)
        variance = spatial_sum(ops.square(deviation), data_format) / divisor
        std = ops.sqrt(variance + epsilon)

        def gradient(*args, upstream=None):
            # TensorFlow and JAX pass the upstream gradient alone; torch passes the forward
            # arguments first and the gradient by name.
            d_mean, d_std = ops.unstack(args[0] if upstream is None else upstream, num=2, axis=-1)
            slope = d_std / (divisor * std)
            intercept = d_mean / pixels - slope * mean
            d_x = over_space(slope, data_format) * widen(x) + over_space(intercept, data_format)
            return ops.cast(d_x, x.dtype)

        return ops.stack([mean, std], axis=-1), gradient

    return mean_std(x)


def spatial_dot(x, kernel, data_format: str):
    """Sum over height and width of ``x · kernel``: (N, C), float32 or wider.

    The gradient is written by hand, as that of ``gated`` and for its reasons: of the size of ``x``
    nothing is kept for it but ``x`` itself.

    Args:
        x: 4-D feature map, any floating dtype.
        kernel: One number for each pixel and channel, (H, W, C) or, for ``channels_first``,
            (C, H, W); float32 or wider.
        data_format: ``"channels_last"`` or ``"channels_first"``.
    """

    @ops.custom_gradient
    def dot(x, kernel):
        def gradient(*args, upstream=None):
            dz = over_space(args[0] if upstream is None else upstream, data_format)
            return ops.cast(dz * kernel, x.dtype), ops.sum(dz * widen(x), axis=0)

        return spatial_sum(widen(x) * kernel, data_format), gradient

    return dot(x, kernel)


def gated(x, gates):
    """The product ``x · gates``, in the dtype of ``x``.

    The gradient is written by hand. With the upstream gradient ``dy`` it is

        ∂/∂x = dy·g,   ∂/∂g = Σ dy·x   over the axes along which g is broadcast,

    and the sum is taken in float32 or wider, a row at a time, whatever the dtype of ``x``. Nothing
    of the size of ``x`` is kept for it but ``x`` itself and, where they are as large, the gates.

    Args:
        x: 4-D feature map, any floating dtype.
        gates: 4-D, each axis as long as that of ``x`` or of length 1; any floating dtype, which is
            that of their gradient: float32 gates get it with all its digits.
    """
    if keras.backend.is_keras_tensor(x):  # a graph of Keras operations, which have their gradients
        return x * ops.cast(gates, x.dtype)

    @ops.custom_gradient
    def product(x, gates):
        factors = ops.cast(gates, x.dtype)

        def gradient(*args, upstream=None):
            dy = args[0] if upstream is None else upstream
            d_gates = _summed_like(gates, widen(dy) * widen(x))
            return dy * factors, ops.cast(d_gates, gates.dtype)

        return x * factors, gradient

    return product(x, gates)


def _summed_like(gates, x):
    """``x`` summed over the axes that have length 1 in ``gates``, the last one first."""
    for axis in reversed(range(len(gates.shape))):
        if gates.shape[axis] == 1 and x.shape[axis] != 1:
            x = ops.sum(x, axis=axis, keepdims=True)
    return x
