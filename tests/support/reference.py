"""The modules once more: plain NumPy in float64, channels last, written from the papers.

Each function takes the feature map, the layer's weights by path and its options, and returns the
gates at inference. Loops and explicit indices on purpose: nothing is shared with the package.
"""

import math

import numpy as np

BN_EPSILON = 1e-5


def reference_gates(spec, x: np.ndarray, weights: dict[str, np.ndarray]) -> np.ndarray:
    """Gates of the module that ``spec`` names: (N, 1, 1, C) or (N, H, W, C), float64."""
    options = {"name": spec} if isinstance(spec, str) else dict(spec)
    return MODULES[options.pop("name")](x.astype("float64"), weights, **options)


def sigmoid(z):
    return 1.0 / (1.0 + np.exp(-z))


def relu(z):
    return np.maximum(z, 0.0)


def bn(z, weights, name):
    normalized = (z - weights[f"{name}/moving_mean"]) / np.sqrt(
        weights[f"{name}/moving_variance"] + BN_EPSILON
    )
    return normalized * weights[f"{name}/gamma"] + weights[f"{name}/beta"]


def dense(z, weights, name):
    return z @ weights[f"{name}/kernel"] + weights.get(f"{name}/bias", 0.0)


def mlp(z, weights):
    return dense(relu(dense(z, weights, "mlp/reduce")), weights, "mlp/expand")


def per_channel(gates):
    return gates[:, None, None, :]


def srm(
    x, weights, pooling=("avg", "std"), integration="cfc", batch_norm=True, unbiased=False, **_
):
    n, height, width, channels = x.shape
    t = np.empty((n, channels, len(pooling)))
    for i in range(n):
        for c in range(channels):
            values = [x[i, h, w, c] for h in range(height) for w in range(width)]
            mean = math.fsum(values) / len(values)
            squares = math.fsum((value - mean) ** 2 for value in values)
            divisor = max(len(values) - 1, 1) if unbiased else len(values)
            style = {"avg": mean, "std": math.sqrt(squares / divisor + 1e-5), "max": max(values)}
            t[i, c] = [style[name] for name in pooling]
    if integration == "cfc":
        z = np.einsum("ncd,cd->nc", t, weights["cfc/kernel"]) + weights.get("cfc/bias", 0.0)
    else:
        z = mlp(np.concatenate([t[:, :, d] for d in range(len(pooling))], axis=1), weights)
    return per_channel(sigmoid(bn(z, weights, "bn") if batch_norm else z))


def se(x, weights, **_):
    return per_channel(sigmoid(mlp(x.mean(axis=(1, 2)), weights)))


def eca(x, weights, kernel_size=None, **_):
    channels = x.shape[-1]
    if kernel_size is None:
        t = int(abs(math.log2(channels) / 2 + 1 / 2))
        kernel_size = t if t % 2 else t + 1
    kernel = weights["conv/kernel"].reshape(kernel_size)
    mean = x.mean(axis=(1, 2))
    z = np.zeros_like(mean)
    for c in range(channels):
        for k in range(kernel_size):
            neighbour = c + k - kernel_size // 2
            if 0 <= neighbour < channels:
                z[:, c] += kernel[k] * mean[:, neighbour]
    return per_channel(sigmoid(z))


def cbam(x, weights, **_):
    channel = per_channel(
        sigmoid(mlp(x.mean(axis=(1, 2)), weights) + mlp(x.max(axis=(1, 2)), weights))
    )
    refined = x * channel
    maps = np.stack([refined.mean(axis=-1), refined.max(axis=-1)], axis=-1)
    kernel = weights["conv/kernel"]
    size = kernel.shape[0]
    margin = size // 2
    padded = np.pad(maps, ((0, 0), (margin, margin), (margin, margin), (0, 0)))
    n, height, width, _channels = x.shape
    z = np.zeros((n, height, width, 1))
    for h in range(height):
        for w in range(width):
            window = padded[:, h : h + size, w : w + size]
            z[:, h, w, 0] = np.sum(window * kernel[None, ..., 0], axis=(1, 2, 3))
    return channel * sigmoid(z)


def ge(x, weights, extent=0, params="theta", use_bias=True, **_):
    if params == "theta_minus":
        gathered = _average(x, extent)
    else:
        gathered = _depthwise_chain(x, weights, extent)
    if params == "theta_plus":
        hidden = relu(_pointwise(relu(gathered), weights, "reduce"))
        gathered = _pointwise(hidden, weights, "expand")
    height, width = x.shape[1:3]
    out = np.empty((len(x), height if extent else 1, width if extent else 1, x.shape[-1]))
    for h in range(out.shape[1]):
        for w in range(out.shape[2]):
            source_h = math.floor(h * gathered.shape[1] / out.shape[1])
            source_w = math.floor(w * gathered.shape[2] / out.shape[2])
            out[:, h, w] = gathered[:, source_h, source_w]
    return sigmoid(out)


def _average(x, extent):
    if not extent:
        return x.mean(axis=(1, 2), keepdims=True)
    n, height, width, channels = x.shape
    rows, columns = math.ceil(height / extent), math.ceil(width / extent)
    out = np.empty((n, rows, columns, channels))
    for r in range(rows):
        for c in range(columns):
            top, left = r * extent - (extent - 1), c * extent - (extent - 1)
            window = x[:, max(top, 0) : top + 2 * extent - 1, max(left, 0) : left + 2 * extent - 1]
            out[:, r, c] = window.mean(axis=(1, 2))
    return out


def _depthwise_chain(x, weights, extent):
    steps = int(math.log2(extent)) if extent else 1
    for step in range(1, steps + 1):
        x = relu(x) if step > 1 else x
        kernel = weights[f"depthwise{step}/kernel"][..., 0]
        x = _depthwise(x, kernel, 2 if extent else 1, 1 if extent else 0)
        x = x + weights.get(f"depthwise{step}/bias", 0.0)
        x = bn(x, weights, f"bn{step}")
    return x


def _depthwise(x, kernel, stride, margin):
    x = np.pad(x, ((0, 0), (margin, margin), (margin, margin), (0, 0)))
    kernel_height, kernel_width = kernel.shape[:2]
    rows = (x.shape[1] - kernel_height) // stride + 1
    columns = (x.shape[2] - kernel_width) // stride + 1
    out = np.empty((len(x), rows, columns, x.shape[-1]))
    for r in range(rows):
        for c in range(columns):
            window = x[
                :,
                r * stride : r * stride + kernel_height,
                c * stride : c * stride + kernel_width,
            ]
            out[:, r, c] = np.sum(window * kernel, axis=(1, 2))
    return out


def _pointwise(x, weights, name):
    return x @ weights[f"{name}/kernel"][0, 0] + weights.get(f"{name}/bias", 0.0)


def simam(x, weights, e_lambda=1e-4, **_):
    """Yang et al. 2021: the inverse of the least energy of eq. 5, variance over M - 1 (fig. 3)."""
    pixels = x.shape[1] * x.shape[2]
    energy = np.empty_like(x)
    for n, c in np.ndindex(x.shape[0], x.shape[3]):
        t = x[n, :, :, c]
        mean = math.fsum(t.flat) / pixels
        variance = math.fsum((t.ravel() - mean) ** 2) / max(pixels - 1, 1)
        above = 4.0 * (variance + e_lambda)
        energy[n, :, :, c] = above / ((t - mean) ** 2 + 2.0 * variance + 2.0 * e_lambda)
    return sigmoid(1.0 / energy)


def gct(x, weights, mode="l2", after_relu=False, epsilon=1e-5, **_):
    """Yang et al. 2020, eqs. 2-4, halved: the gate is (1 + tanh) / 2."""
    n, channels = x.shape[0], x.shape[3]
    alpha, gamma, beta = (weights[name] for name in ("alpha", "gamma", "beta"))
    gates = np.empty((n, channels))
    for i in range(n):
        maps = [x[i, :, :, c].ravel() for c in range(channels)]
        if mode == "l2":
            s = alpha * [math.sqrt(math.fsum(m**2) + epsilon) for m in maps]
            norm = math.sqrt(math.fsum(s**2) / channels + epsilon)
        else:
            s = alpha * [math.fsum(m if after_relu else abs(m)) for m in maps]
            norm = math.fsum(abs(s)) / channels + epsilon
        gates[i] = (1.0 + np.tanh(gamma * s / norm + beta)) / 2.0
    return per_channel(gates)


# The authors' choices: a digit for each component, along the height and along the width.
FREQUENCIES = {
    "top": ("00600114513000324635526553342261", "01052020060463526333511242113053"),
    "low": ("00110221203401301234501234561234", "01012012230043154321065432106543"),
    "bot": ("61332412445146256162243355625536", "64466314456522514350311242115333"),
}


def fca(x, weights, frequencies="top16", size=None, **_):
    """Qin et al. 2021: dense layers over one component of each channel's DCT-II."""
    along_height, along_width = FREQUENCIES[frequencies[:3]]
    count, channels = int(frequencies[3:]), x.shape[3]
    groups = [k for k in range(count) for _ in np.array_split(range(channels), count)[k]]
    if size is not None:
        x = _adaptive_mean(_adaptive_mean(x, 1, size), 2, size)
    height, width = x.shape[1:3]
    t = np.empty((len(x), channels))
    for c, k in enumerate(groups):
        rows = _cosines(int(along_height[k]), height)
        columns = _cosines(int(along_width[k]), width)
        t[:, c] = np.sum(x[..., c] * np.outer(rows, columns), axis=(1, 2))
    return per_channel(sigmoid(mlp(t, weights)))


def _cosines(frequency, side):
    """One row of the orthonormal DCT-II, at a frequency that is given for seven pixels."""
    scaled = frequency * (side // 7) if side >= 7 else math.floor(frequency * side / 7)
    scale = math.sqrt((1.0 if scaled == 0 else 2.0) / side)
    return [scale * math.cos(math.pi * scaled * (k + 0.5) / side) for k in range(side)]


def _adaptive_mean(x, axis, size):
    side = x.shape[axis]
    cells = [
        x.take(range(i * side // size, math.ceil((i + 1) * side / size)), axis).mean(axis)
        for i in range(size)
    ]
    return np.stack(cells, axis)


MODULES = {
    "srm": srm,
    "se": se,
    "ge": ge,
    "eca": eca,
    "cbam": cbam,
    "simam": simam,
    "gct": gct,
    "fca": fca,
}
