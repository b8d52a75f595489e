"""Gather-Excite."""

import itertools
import math
from typing import Any

import keras
from keras import ops

from srm_keras.layers.base import Recalibration
from srm_keras.layers.conventions import (
    batch_norm,
    channel_axis,
    feature_shape,
    inference_affine,
    over_space,
    spatial_axes,
)
from srm_keras.layers.statistics import spatial_dot, spatial_mean, widen
from srm_keras.support.validation import boolean, one_of, positive_int

EXTENTS = (0, 2, 4, 8)
PARAMS = ("theta_minus", "theta", "theta_plus")


class DepthwiseConv2D(keras.layers.DepthwiseConv2D):
    """A depthwise convolution whose kernel is as large as the map, its sums in float32 or wider.

    It has the name of Keras' class, after which files call what is in a list of layers.

    Raises:
        ValueError: The map has another size than the kernel.
    """

    def call(self, inputs):
        shape = tuple(inputs.shape)
        size = tuple(shape[axis] for axis in spatial_axes(self.data_format))
        if size != self.kernel_size:
            raise ValueError(
                f"Layer {self.name!r} was built for feature maps of {self.kernel_size} pixels. "
                f"Received: inputs of shape {shape}"
            )
        kernel = self.kernel[..., 0]
        if self.data_format == "channels_first":
            kernel = ops.transpose(kernel, (2, 0, 1))
        z = spatial_dot(inputs, kernel, self.data_format)
        return over_space(z if self.bias is None else z + self.bias, self.data_format)


@keras.saving.register_keras_serializable(package="srm_keras")
class GatherExcite(Recalibration):
    """Gather-Excite: context gathered over neighbourhoods of ``extent`` pixels gates each pixel.

    The gather shrinks the map by ``extent`` (to 1×1 for ``extent=0``); the excite enlarges it
    again by nearest-neighbour interpolation and applies a sigmoid.

    Args:
        extent: 2, 4, 8, or 0 for the whole map. The SRM paper's rival is ``extent=0``.
        params: What gathers.
            ``"theta_minus"``: an average pool of kernel ``2·extent − 1`` and stride ``extent``
            with symmetric padding, which does not count; no weights.
            ``"theta"``: log₂(extent) depthwise 3×3 convolutions of stride 2, each with batch norm,
            ReLU between them; for ``extent=0`` one depthwise H×W convolution with batch norm.
            ``"theta_plus"``: theta's gather, ReLU, then 1×1 convolution to C/r, ReLU, 1×1 to C.
        reduction: r of ``"theta_plus"``.
        use_bias: Whether the convolutions have biases. On: the counts of the SRM paper.
        batch_norm: Whether the depthwise convolutions are followed by batch norm; False is the
            folded form, for which ``use_bias`` must be on.
        data_format: ``"channels_last"``, ``"channels_first"`` or None for Keras' global setting.
        **kwargs: ``gain``, ``neutral`` and others as for every ``Recalibration``. What starts at
            zero is the last 1×1 convolution, else the last batch norm, else the last depthwise
            convolution; ``"theta_minus"`` has none and refuses ``neutral``.

    Input shape:
        (N, H, W, C) or, for ``channels_first``, (N, C, H, W). H and W may be unknown unless
        ``extent=0`` with ``"theta"`` or ``"theta_plus"``, whose kernel has that size.

    Output shape:
        That of the input. Gates are (N, 1, 1, C) for ``extent=0``, else (N, H, W, C).

    Raises:
        ValueError: An argument is not one of the above, or H×W is needed and unknown.

    Reference:
        Hu, Shen, Albanie, Sun, Vedaldi, *Gather-Excite: Exploiting Feature Context in
        Convolutional Neural Networks*, NeurIPS 2018, sections 3 and 4.
    """

    can_start_neutral = True

    def __init__(
        self,
        extent: int = 0,
        params: str = "theta",
        reduction: int = 16,
        use_bias: bool = True,
        batch_norm: bool = True,
        data_format: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(data_format=data_format, **kwargs)
        self.extent = one_of("extent", extent, EXTENTS)
        self.params = one_of("params", params, PARAMS)
        self.reduction = positive_int("reduction", reduction)
        self.use_bias = boolean("use_bias", use_bias)
        self.batch_norm = boolean("batch_norm", batch_norm)
        if not (use_bias or batch_norm):
            raise ValueError(
                "`use_bias` must be True where `batch_norm` is False. "
                f"Received: use_bias={use_bias}, batch_norm={batch_norm}"
            )
        self.can_start_neutral = self.params != "theta_minus"
        self.check_neutral()

    def build_gates(self, input_shape, channels: int) -> None:
        if self.params != "theta_minus":
            self._build_gather(self._depthwise_plan(input_shape), channels)
        if self.params == "theta_plus":
            self._build_pointwise(channels)

    def _build_gather(self, plan: list[tuple[tuple[int, int], int]], channels: int) -> None:
        axis = channel_axis(self.data_format)
        shape = feature_shape(channels, self.data_format)
        for index, (kernel, strides) in enumerate(plan, start=1):
            # A convolution that reads the map works in its dtype; the rest, on sums, in float32.
            reads_map = bool(self.extent) and index == 1
            is_last = index == len(plan) and self.params == "theta"
            bare = is_last and not self.batch_norm
            conv = (keras.layers.DepthwiseConv2D if self.extent else DepthwiseConv2D)(
                kernel,
                strides=strides,
                use_bias=self.use_bias,
                depthwise_initializer=self.last_initializer() if bare else "glorot_uniform",
                data_format=self.data_format,
                dtype=self.dtype_policy if reads_map else self.gate_dtype,
                autocast=bool(self.extent),
                name=f"depthwise{index}",
            )
            conv.build(shape)
            setattr(self, f"depthwise_{index}", conv)
            if self.batch_norm:
                gamma = self.last_initializer("ones") if is_last else "ones"
                bn = batch_norm(
                    f"bn{index}", axis=axis, dtype=self.gate_dtype, gamma_initializer=gamma
                )
                bn.build(shape)
                setattr(self, f"bns_{index}", bn)

    def _depthwise_plan(self, shape) -> list[tuple[tuple[int, int], int]]:
        if self.extent:
            return [((3, 3), 2)] * int(math.log2(self.extent))
        height, width = (shape[axis] for axis in spatial_axes(self.data_format))
        if height is None or width is None:
            raise ValueError(
                f"GatherExcite(extent=0, params={self.params!r}) convolves with a kernel of the "
                "map's size and needs a static height and width. "
                f"Received: input_shape={tuple(shape)}"
            )
        return [((height, width), 1)]

    def _build_pointwise(self, channels: int) -> None:
        hidden = max(channels // self.reduction, 1)
        plan = (("reduce", hidden, channels), ("expand", channels, hidden))
        for index, (name, filters, fan_in) in enumerate(plan, start=1):
            conv = keras.layers.Conv2D(
                filters,
                1,
                use_bias=self.use_bias,
                kernel_initializer=self.last_initializer() if index == 2 else "glorot_uniform",
                data_format=self.data_format,
                dtype=self.gate_dtype,
                name=name,
            )
            conv.build(feature_shape(fan_in, self.data_format))
            setattr(self, f"pointwise_{index}", conv)

    @property
    def depthwise(self) -> list[keras.layers.DepthwiseConv2D]:
        """The depthwise convolutions, the first one reading the map."""
        return self._numbered("depthwise")

    @property
    def bns(self) -> list[keras.layers.BatchNormalization]:
        """The batch norm of each depthwise convolution; none without ``batch_norm``."""
        return self._numbered("bns")

    @property
    def pointwise(self) -> list[keras.layers.Conv2D]:
        """The two 1×1 convolutions of ``"theta_plus"``; else none."""
        return self._numbered("pointwise")

    def _numbered(self, name: str) -> list[Any]:
        """The sublayers ``name_1``, ``name_2`` and so on.

        They are attributes, since ``tf.train.Checkpoint`` passes over what is in a list. Keras'
        files hold them under the lists, which it reaches first: ``name`` sorts before ``name_1``.
        """
        indices = itertools.takewhile(lambda n: hasattr(self, f"{name}_{n}"), itertools.count(1))
        return [getattr(self, f"{name}_{index}") for index in indices]

    def gates(self, inputs, training: bool | None = None):
        gates = ops.sigmoid(widen(self.gather(inputs, training)))
        return self.interpolate(gates, like=inputs) if self.extent else gates

    def gather(self, inputs, training: bool | None = None):
        """Aggregate context: (N, ⌈H/e⌉, ⌈W/e⌉, C), or (N, 1, 1, C) for ``extent=0``."""
        if self.params == "theta_minus":
            return self._average(inputs)
        x = inputs
        for index, conv in enumerate(self.depthwise):
            x = ops.relu(x) if index else x
            x = self._convolve(conv, self._pad(x, 1)) if self.extent else conv(x)
            x = self.bns[index](x, training=training) if self.bns else x
        if self.pointwise:
            reduce, expand = self.pointwise
            x = self._convolve(expand, ops.relu(self._convolve(reduce, ops.relu(x))))
        return x

    def _convolve(self, conv: keras.layers.Layer, x):
        """``conv(x)``; for ``channels_first`` with the bias added here.

        Keras 3.15 on TensorFlow adds that bias along the width where the width equals the number
        of filters (``tests/layers/test_known_issues.py``).
        """
        if self._channels_last or not conv.use_bias:
            return conv(x)
        depthwise = isinstance(conv, keras.layers.DepthwiseConv2D)
        convolve = ops.depthwise_conv if depthwise else ops.conv
        x = ops.cast(x, conv.compute_dtype)
        kernel, bias = (ops.cast(weight, x.dtype) for weight in (conv.kernel, conv.bias))
        x = convolve(x, kernel, conv.strides, padding=conv.padding, data_format=self.data_format)
        return x + over_space(ops.expand_dims(bias, 0), self.data_format)

    def interpolate(self, gates, like):
        """Enlarge to the height and width of ``like``; output i reads input ``⌊i·h/H⌋``."""
        for axis in spatial_axes(self.data_format):
            size, target = ops.shape(gates)[axis], ops.shape(like)[axis]
            gates = ops.take(gates, ops.arange(target) * size // target, axis=axis)
        return gates

    def _average(self, inputs):
        if not self.extent:
            return over_space(spatial_mean(inputs, self.data_format), self.data_format)
        x = widen(inputs)
        ones = ops.ones_like(x[:1, ..., :1] if self._channels_last else x[:1, :1])
        return self._windows(x) / self._windows(ones)

    def _windows(self, x):
        """The mean of each window, what is added around the map counting as zeros."""
        return ops.average_pool(
            self._pad(x, self.extent - 1),
            2 * self.extent - 1,
            strides=self.extent,
            padding="valid",
            data_format=self.data_format,
        )

    def _pad(self, x, margin: int):
        pads = [(0, 0)] * 4
        for axis in spatial_axes(self.data_format):
            pads[axis] = (margin, margin)
        return ops.pad(x, pads)

    @property
    def _channels_last(self) -> bool:
        return self.data_format == "channels_last"

    def folded(self) -> "GatherExcite":
        """Return a built copy with each batch norm merged into its depthwise convolution."""
        if not self.bns:
            return super().folded()
        layer = self._rebuilt(batch_norm=False, use_bias=True)
        for source, bn, target in zip(self.depthwise, self.bns, layer.depthwise, strict=True):
            scale, offset = inference_affine(bn)
            kernel = ops.convert_to_numpy(source.kernel)
            bias = ops.convert_to_numpy(source.bias) if self.use_bias else 0.0
            target.set_weights([kernel * scale[:, None], bias * scale + offset])
        for source, target in zip(self.pointwise, layer.pointwise, strict=True):
            weights = source.get_weights()
            zero_bias = [] if self.use_bias else [0.0 * weights[0][0, 0, 0]]
            target.set_weights([*weights, *zero_bias])
        return layer

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "extent": self.extent,
            "params": self.params,
            "reduction": self.reduction,
            "use_bias": self.use_bias,
            "batch_norm": self.batch_norm,
        }
