"""Residual units and stages, of which all ResNets here consist.

Names follow the SRM paper's "conv2-6": ``conv2_6_…`` is the sixth unit of the stage conv2. The
recalibration layer of a unit is always ``conv2_6_recalibration``, its output ``conv2_6_out``.
"""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

import keras
from keras import layers, ops

from srm_keras.layers.conventions import (
    batch_norm,
    channel_axis,
    spatial_axes,
    standardize_data_format,
)
from srm_keras.layers.dropping import StochasticDepth, drop_rate
from srm_keras.layers.registry import Spec, recalibration
from srm_keras.support.validation import one_of, positive_int


@keras.saving.register_keras_serializable(package="srm_keras")
class IdentityShortcut(keras.layers.Layer):
    """Takes every ``strides``-th pixel and appends zero channels up to ``filters``.

    Args:
        filters: Number of output channels, at least that of the input.
        strides: Step between the pixels kept.
        data_format: ``"channels_last"``, ``"channels_first"`` or None for Keras' global setting.

    Input shape:
        (N, H, W, C) or, for ``channels_first``, (N, C, H, W).

    Output shape:
        (N, ⌈H/strides⌉, ⌈W/strides⌉, filters), or the same with channels first.

    Reference:
        He et al., *Deep Residual Learning for Image Recognition*, CVPR 2016, sections 3.3 and 4.2.
    """

    def __init__(
        self, filters: int, strides: int = 1, data_format: str | None = None, **kwargs: Any
    ):
        super().__init__(**kwargs)
        self.filters = positive_int("filters", filters)
        self.strides = positive_int("strides", strides)
        self.data_format = standardize_data_format(data_format)

    def call(self, inputs):
        axis = channel_axis(self.data_format)
        step = slice(None, None, self.strides)
        x = inputs[:, step, step] if axis == -1 else inputs[:, :, step, step]
        pads = [(0, 0)] * 4
        pads[axis] = (0, self.filters - inputs.shape[axis])
        return ops.pad(x, pads)

    def compute_output_shape(self, input_shape):
        shape = list(input_shape)
        shape[channel_axis(self.data_format)] = self.filters
        for axis in spatial_axes(self.data_format):
            shape[axis] = None if shape[axis] is None else -(-shape[axis] // self.strides)
        return tuple(shape)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "filters": self.filters,
            "strides": self.strides,
            "data_format": self.data_format,
        }


EXPANSION = {"basic": 1, "bottleneck": 4}
SHORTCUTS = ("projection", "average", "identity")


@dataclasses.dataclass(frozen=True)
class Unit:
    """What the units of one network have in common.

    Args:
        block: ``"basic"`` (3×3, 3×3) or ``"bottleneck"`` (1×1, 3×3, 1×1, four times as wide).
        stride_in: The convolution of a bottleneck that carries the stride, ``"3x3"`` or ``"1x1"``.
        shortcut: Where shapes change, ``"projection"`` (1×1 convolution and batch norm),
            ``"average"`` (the same, but 2×2 average pooling strides before it: He, T. et al. 2019,
            fig. 2c) or ``"identity"`` (subsampled, zero channels appended).
        data_format: ``"channels_last"`` or ``"channels_first"``.
        cardinality: Groups of a bottleneck's 3×3 convolution (Xie et al. 2017, fig. 3c).
        base_width: Width of each of its groups in a stage of 64 planes.
        downsampling: ``"stride"``, or ``"average"``: 2×2 average pooling behind the convolution
            that would stride (against aliasing: Zhang 2019).
        drop_path_rate: Of the last unit's ``StochasticDepth``; unit l of L has (l - 1)/(L - 1)
            times this, as in timm (Huang et al. 2016, section 3, have l/L).

    Raises:
        ValueError: An argument is not one of the above, or basic blocks with groups or widths.
    """

    block: str
    stride_in: str
    shortcut: str
    data_format: str
    cardinality: int = 1
    base_width: int = 64
    downsampling: str = "stride"
    drop_path_rate: float = 0.0

    def __post_init__(self) -> None:
        one_of("block", self.block, EXPANSION)
        drop_rate("drop_path_rate", self.drop_path_rate)
        one_of("downsampling", self.downsampling, ("stride", "average"))
        one_of("stride_in", self.stride_in, ("3x3", "1x1"))
        one_of("shortcut", self.shortcut, SHORTCUTS)
        for name, usual in (("cardinality", 1), ("base_width", 64)):
            value = positive_int(name, getattr(self, name))
            if self.block == "basic" and value != usual:
                raise ValueError(
                    f"`{name}` must be {usual} where block='basic', which has no 3×3 convolution "
                    f"between two of 1×1. Received: {name}={value}"
                )

    def stages(self, x, planes: Sequence[int], specs: Sequence[Sequence[Spec]]):
        """Apply a stage for each of ``planes``, named conv2, conv3, …; all but conv2 stride."""
        last = max(1, sum(map(len, specs)) - 1)
        rates = (self.drop_path_rate * unit / last for unit in range(last + 1))
        for index, (width, stage_specs) in enumerate(zip(planes, specs, strict=True)):
            x = self.stage(x, width, 2 if index else 1, stage_specs, rates, f"conv{index + 2}")
        return x

    def stage(
        self,
        x,
        planes: int,
        strides: int,
        specs: Sequence[Spec],
        rates: Iterator[float],
        name: str,
    ):
        """Apply one unit for each of ``specs``; the first carries the stride."""
        for index, spec in enumerate(specs, start=1):
            stride = strides if index == 1 else 1
            x = self.unit(x, planes, stride, spec, next(rates), f"{name}_{index}")
        return x

    def unit(self, x, planes: int, strides: int, spec: Spec, rate: float, name: str):
        """``ReLU(shortcut(x) + drop(recalibrate(branch(x))))``."""
        filters = planes * EXPANSION[self.block]
        branch = self.basic if self.block == "basic" else self.bottleneck
        residual = branch(x, planes, strides, name)
        module = recalibration(spec, name=f"{name}_recalibration", data_format=self.data_format)
        if module is not None:
            residual = module(residual)
        if rate:
            residual = StochasticDepth(rate, name=f"{name}_drop_path")(residual)
        x = layers.Add(name=f"{name}_add")([self.skip(x, filters, strides, name), residual])
        return layers.ReLU(name=f"{name}_out")(x)

    def basic(self, x, planes: int, strides: int, name: str):
        """Two 3×3 convolutions (He et al. 2016, fig. 5 left)."""
        x = self.conv_bn_relu(x, planes, 3, strides, f"{name}_1")
        return self.conv_bn(x, planes, 3, 1, f"{name}_2")

    def bottleneck(self, x, planes: int, strides: int, name: str):
        """1×1, 3×3 and 1×1 convolutions (He et al. 2016, fig. 5 right)."""
        on_1x1, on_3x3 = (strides, 1) if self.stride_in == "1x1" else (1, strides)
        width = planes * self.base_width // 64 * self.cardinality
        x = self.conv_bn_relu(x, width, 1, on_1x1, f"{name}_1")
        x = self.conv_bn_relu(x, width, 3, on_3x3, f"{name}_2", groups=self.cardinality)
        return self.conv_bn(x, planes * EXPANSION["bottleneck"], 1, 1, f"{name}_3")

    def skip(self, x, filters: int, strides: int, name: str):
        """The shortcut: the input itself where the unit keeps its shape."""
        if strides == 1 and x.shape[channel_axis(self.data_format)] == filters:
            return x
        if self.shortcut == "identity":
            return IdentityShortcut(
                filters, strides, data_format=self.data_format, name=f"{name}_shortcut"
            )(x)
        if self.shortcut == "average":
            x, strides = self.averaged(x, strides, f"{name}_shortcut_pool"), 1
        return self.conv_bn(x, filters, 1, strides, f"{name}_shortcut")

    def averaged(self, x, strides: int, name: str):
        """Means of ``strides`` × ``strides`` pixels, of fewer at the border; ``x`` itself for 1."""
        if strides == 1:
            return x
        return layers.AveragePooling2D(
            strides, padding="same", data_format=self.data_format, name=name
        )(x)

    def conv_bn_relu(self, x, filters: int, kernel: int, strides: int, name: str, groups: int = 1):
        """Convolution, batch norm and ReLU inside of a branch, by which the map gets smaller."""
        if self.downsampling == "stride":
            return self.conv_bn(x, filters, kernel, strides, name, relu=True, groups=groups)
        x = self.conv_bn(x, filters, kernel, 1, name, relu=True, groups=groups)
        return self.averaged(x, strides, f"{name}_pool")

    def conv_bn(
        self,
        x,
        filters: int,
        kernel: int,
        strides: int,
        name: str,
        relu: bool = False,
        groups: int = 1,
    ):
        """Convolution without bias, batch norm and, on request, ReLU; symmetric zero padding."""
        margin = kernel // 2
        if margin and strides > 1:
            x = layers.ZeroPadding2D(margin, data_format=self.data_format, name=f"{name}_pad")(x)
        x = layers.Conv2D(
            filters,
            kernel,
            strides=strides,
            padding="valid" if strides > 1 or not margin else "same",
            groups=groups,
            use_bias=False,
            kernel_initializer="he_normal",
            data_format=self.data_format,
            name=f"{name}_conv",
        )(x)
        x = batch_norm(f"{name}_bn", axis=channel_axis(self.data_format))(x)
        return layers.ReLU(name=f"{name}_relu")(x) if relu else x


NestedSpec = Spec | Sequence["Spec | Sequence[Spec]"]


def spec_of_each_block(spec: NestedSpec, blocks: Sequence[int]) -> list[list[Spec]]:
    """Spread ``spec`` over a network of ``blocks[s]`` residual blocks in stage ``s``.

    Args:
        spec: One spec for all blocks, or a list with an entry a stage, each of which is one spec
            for the stage or a list with a spec a block: ``[None, "se", "srm", ["srm", None]]``.
        blocks: Number of blocks of each stage.

    Returns:
        A list a stage of a spec a block.

    Raises:
        ValueError: A list has the wrong length, or a spec is wrong.
    """
    stages = _entries(spec, len(blocks), "one entry a stage")
    specs = [
        _entries(stage, count, f"one entry a block of stage {index}")
        for index, (stage, count) in enumerate(zip(stages, blocks, strict=True), start=1)
    ]
    for one in {id(one): one for stage in specs for one in stage}.values():
        if not callable(one):  # what a callable makes may be counted by who passes it
            recalibration(one)
    return specs


def _entries(spec, count: int, meaning: str) -> list:
    if not isinstance(spec, list | tuple):
        return [spec] * count
    if len(spec) != count:
        raise ValueError(
            f"`recalibration` must have {meaning}, {count} of them, where it is a list. "
            f"Received {len(spec)}: {spec!r}"
        )
    return list(spec)
