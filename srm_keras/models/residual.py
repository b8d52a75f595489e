"""Residual units and stages, of which all ResNets here consist.

Names follow the SRM paper's "conv2-6": ``conv2_6_…`` is the sixth unit of the stage conv2. The
recalibration layer of a unit is always ``conv2_6_recalibration``, its output ``conv2_6_out``.
"""

import dataclasses
from collections.abc import Sequence

from keras import layers

from srm_keras.layers.batch_norm import batch_norm
from srm_keras.layers.data_format import channel_axis
from srm_keras.layers.registry import Spec, recalibration
from srm_keras.models.shortcut import IdentityShortcut
from srm_keras.validation import one_of

EXPANSION = {"basic": 1, "bottleneck": 4}


@dataclasses.dataclass(frozen=True)
class Unit:
    """What the units of one network have in common.

    Args:
        block: ``"basic"`` (3×3, 3×3) or ``"bottleneck"`` (1×1, 3×3, 1×1, four times as wide).
        stride_in: the convolution of a bottleneck that carries the stride, ``"3x3"`` or ``"1x1"``.
        shortcut: where shapes change, ``"projection"`` (1×1 convolution and batch norm) or
            ``"identity"`` (subsampled, zero channels appended).
        data_format: ``"channels_last"`` or ``"channels_first"``.

    Raises:
        ValueError: an argument is not one of the above.
    """

    block: str
    stride_in: str
    shortcut: str
    data_format: str

    def __post_init__(self) -> None:
        one_of("block", self.block, EXPANSION)
        one_of("stride_in", self.stride_in, ("3x3", "1x1"))
        one_of("shortcut", self.shortcut, ("projection", "identity"))

    def stages(self, x, planes: Sequence[int], specs: Sequence[Sequence[Spec]]):
        """Apply a stage for each of ``planes``, named conv2, conv3, …; all but conv2 stride."""
        for index, (width, stage_specs) in enumerate(zip(planes, specs, strict=True)):
            x = self.stage(x, width, 2 if index else 1, stage_specs, f"conv{index + 2}")
        return x

    def stage(self, x, planes: int, strides: int, specs: Sequence[Spec], name: str):
        """Apply one unit for each of ``specs``; the first carries the stride."""
        for index, spec in enumerate(specs, start=1):
            x = self.unit(x, planes, strides if index == 1 else 1, spec, f"{name}_{index}")
        return x

    def unit(self, x, planes: int, strides: int, spec: Spec, name: str):
        """``ReLU(shortcut(x) + recalibrate(branch(x)))``."""
        filters = planes * EXPANSION[self.block]
        branch = self.basic if self.block == "basic" else self.bottleneck
        residual = branch(x, planes, strides, name)
        module = recalibration(spec, name=f"{name}_recalibration", data_format=self.data_format)
        if module is not None:
            residual = module(residual)
        x = layers.Add(name=f"{name}_add")([self.skip(x, filters, strides, name), residual])
        return layers.ReLU(name=f"{name}_out")(x)

    def basic(self, x, planes: int, strides: int, name: str):
        """Two 3×3 convolutions (He et al. 2016, fig. 5 left)."""
        x = self.conv_bn(x, planes, 3, strides, f"{name}_1", relu=True)
        return self.conv_bn(x, planes, 3, 1, f"{name}_2")

    def bottleneck(self, x, planes: int, strides: int, name: str):
        """1×1, 3×3 and 1×1 convolutions (He et al. 2016, fig. 5 right)."""
        on_1x1, on_3x3 = (strides, 1) if self.stride_in == "1x1" else (1, strides)
        x = self.conv_bn(x, planes, 1, on_1x1, f"{name}_1", relu=True)
        x = self.conv_bn(x, planes, 3, on_3x3, f"{name}_2", relu=True)
        return self.conv_bn(x, planes * EXPANSION["bottleneck"], 1, 1, f"{name}_3")

    def skip(self, x, filters: int, strides: int, name: str):
        """The shortcut: the input itself where the unit keeps its shape."""
        if strides == 1 and x.shape[channel_axis(self.data_format)] == filters:
            return x
        if self.shortcut == "projection":
            return self.conv_bn(x, filters, 1, strides, f"{name}_shortcut")
        return IdentityShortcut(
            filters, strides, data_format=self.data_format, name=f"{name}_shortcut"
        )(x)

    def conv_bn(self, x, filters: int, kernel: int, strides: int, name: str, relu: bool = False):
        """Convolution without bias, batch norm and, on request, ReLU; symmetric zero padding."""
        margin = kernel // 2
        if margin and strides > 1:
            x = layers.ZeroPadding2D(margin, data_format=self.data_format, name=f"{name}_pad")(x)
        x = layers.Conv2D(
            filters,
            kernel,
            strides=strides,
            padding="valid" if strides > 1 or not margin else "same",
            use_bias=False,
            kernel_initializer="he_normal",
            data_format=self.data_format,
            name=f"{name}_conv",
        )(x)
        x = batch_norm(f"{name}_bn", axis=channel_axis(self.data_format))(x)
        return layers.ReLU(name=f"{name}_relu")(x) if relu else x
