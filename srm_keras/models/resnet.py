"""ResNets for ImageNet-sized images, with a recalibration module in every residual block.

He et al. 2016; Lee et al. 2019, figure 2 and table 1; Xie et al. 2017 (ResNeXt); Zagoruyko and
Komodakis 2016 (wide); He, T. et al. 2019 (stem and shortcuts); Bello et al. 2021 (ResNet-RS); Zhang
2019 (averages against aliasing).
"""

import dataclasses
import inspect
import os
import re
from collections.abc import Callable, Sequence
from typing import Any, Concatenate, ParamSpec

import keras
from keras import layers

from srm_keras.layers.conventions import channel_axis, standardize_data_format
from srm_keras.layers.registry import Spec
from srm_keras.models.head import check_head, head, image_input
from srm_keras.models.residual import NestedSpec, Unit, spec_of_each_block
from srm_keras.models.weights import Start
from srm_keras.support.validation import as_int, one_of

# Residual block and blocks of the stages conv2 … conv5 (He et al. 2016, table 1).
DEPTHS = {
    18: ("basic", (2, 2, 2, 2)),
    34: ("basic", (3, 4, 6, 3)),
    50: ("bottleneck", (3, 4, 6, 3)),
    101: ("bottleneck", (3, 4, 23, 3)),
    152: ("bottleneck", (3, 8, 36, 3)),
}
PLANES = (64, 128, 256, 512)
# Widths of the stem's convolutions: one of 7×7, or three of 3×3 (He, T. et al. 2019, fig. 2b).
STEMS = {
    "7x7": (64,),
    "deep": (32, 32, 64),
    "deep_tiered": (24, 32, 64),
    "deep_wide": (64, 64, 128),
}
MINIMUM_SIDE = 32


@dataclasses.dataclass(frozen=True)
class Architecture:
    """What a ResNet for ImageNet consists of, without its modules and its classifier.

    Attributes:
        block: ``"basic"`` or ``"bottleneck"``.
        blocks: Number of residual blocks of each of the four stages.
        stem: A key of ``STEMS``.
        stem_pool: ``"max"``, 3×3 max pooling, or ``"conv"``, a 3×3 convolution; of stride 2.
        shortcut: As for ``Unit``.
        cardinality: As for ``Unit``.
        base_width: As for ``Unit``.
        downsampling: As for ``Unit``; with ``"average"`` the stem pools averages of 2×2 too.

    Raises:
        ValueError: An attribute is not one of the above.
    """

    block: str = "bottleneck"
    blocks: Sequence[int] = (3, 4, 6, 3)
    stem: str = "7x7"
    stem_pool: str = "max"
    shortcut: str = "projection"
    cardinality: int = 1
    base_width: int = 64
    downsampling: str = "stride"

    def __post_init__(self) -> None:
        valid = isinstance(self.blocks, list | tuple) and len(self.blocks) == len(PLANES)
        counts = tuple(map(as_int, self.blocks)) if valid else ()
        if not counts or not all(count and count > 0 for count in counts):
            raise ValueError(
                f"`blocks` must have a positive integer for each of the {len(PLANES)} stages. "
                f"Received: blocks={self.blocks!r}"
            )
        object.__setattr__(self, "blocks", counts)
        one_of("stem", self.stem, STEMS)
        one_of("stem_pool", self.stem_pool, ("max", "conv"))

    @property
    def depth(self) -> int | None:
        """18, 34, 50, 101 or 152, by the blocks; None for other numbers of them."""
        return depth_of(self.block, self.blocks)

    @property
    def settings(self) -> dict[str, Any]:
        """The arguments of ``ResNet``: block, blocks, and the options that are not the default."""
        usual = {field.name: field.default for field in dataclasses.fields(self)[2:]}
        options = {
            name: getattr(self, name) for name in usual if getattr(self, name) != usual[name]
        }
        return {"block": self.block, "blocks": self.blocks, **options}

    @property
    def strided(self) -> "Architecture":
        """The network that strides and has the same weights, names and shapes of them included."""
        return dataclasses.replace(self, downsampling="stride")

    def units(
        self,
        stride_in: str | None = None,
        data_format: str | None = None,
        drop_path_rate: float = 0.0,
    ) -> Unit:
        """The residual units of such a network."""
        data_format = standardize_data_format(data_format)
        options = (self.cardinality, self.base_width, self.downsampling, drop_path_rate)
        return Unit(self.block, stride_in or "3x3", self.shortcut, data_format, *options)


def depth_of(block: str, blocks: Sequence[int]) -> int | None:
    """The depth in ``DEPTHS`` of a network of these blocks; None where there is none."""
    sizes = (block, tuple(blocks))
    return next((depth for depth, usual in DEPTHS.items() if usual == sizes), None)


def ResNet(
    block: str = "bottleneck",
    blocks: Sequence[int] = (3, 4, 6, 3),
    include_top: bool = True,
    weights: str | os.PathLike | None = None,
    input_tensor=None,
    input_shape: tuple[int | None, ...] | None = None,
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: str | None = "softmax",
    recalibration: NestedSpec = None,
    stride_in: str | None = None,
    data_format: str | None = None,
    name: str | None = None,
    stem: str = "7x7",
    stem_pool: str = "max",
    shortcut: str = "projection",
    cardinality: int = 1,
    base_width: int = 64,
    downsampling: str = "stride",
    drop_path_rate: float = 0.0,
    dropout: float = 0.0,
) -> keras.Model:
    """Build a ResNet with a recalibration module at the end of each residual branch.

    The module comes after the branch's last batch norm and before the addition. From
    ``stem`` to ``downsampling`` the arguments make what timm names by letters
    (``build("resnet50d")``), ResNeXts and wide ResNets; those behind matter to training alone.

    Args:
        block: ``"bottleneck"`` or ``"basic"``.
        blocks: Number of residual blocks of each of the four stages.
        include_top: End in global average pool, dense layer and activation.
        weights: None, or a name (``"imagenet"``, …; ``list_weights()``), preset or file of a
            trained network. A classifier of other ``classes`` is new; new modules start neutral.
        input_tensor: A Keras tensor to build upon.
        input_shape: (H, W, C), sides from 32 or None; (224, 224, 3) by default, free without top.
        pooling: None, ``"avg"`` or ``"max"``, where ``include_top=False``.
        classes: Number of classes.
        classifier_activation: ``"softmax"``, or None for logits; float32 under mixed precision.
        recalibration: A spec (``"srm"``, ``{"name": "se", "reduction": 8}``, …), or a list with an
            entry a stage, which may be a list with a spec a block: ``[None, "se", ["srm", None]]``.
        stride_in: Where a bottleneck strides: ``"3x3"`` (4.09 G multiply-adds) or ``"1x1"``
            (3.86 G, as in the paper). None: as ``weights`` have it, or in the 3×3.
        data_format: ``"channels_last"``, ``"channels_first"`` or None for Keras' global setting.
        name: Of the model.
        stem: ``"7x7"``, one convolution of that size; or three of 3×3, of 32, 32 and 64 filters
            (``"deep"``), 24, 32 and 64 (``"deep_tiered"``) or 64, 64 and 128 (``"deep_wide"``).
        stem_pool: ``"max"``, 3×3 max pooling, or ``"conv"``, a 3×3 convolution (ResNet-RS).
        shortcut: Where shapes change: ``"projection"``, a 1×1 convolution; ``"average"``, 2×2
            average pooling before it, which strides; or ``"identity"``, without weights.
        cardinality: Groups of a bottleneck's 3×3 convolution: 32 in ResNeXt-50 (32×4d).
        base_width: Of each group in the first stage: 4 in ResNeXt-50, 128 in Wide ResNet-50-2.
        downsampling: ``"stride"``, or ``"average"`` of 2×2 behind what would stride, stem too.
        drop_path_rate: Probability that training leaves out the last block's branch
            (``StochasticDepth``, of each example by itself); it rises linearly from 0 at the first.
        dropout: Of the pooled features, before the classifier, in training.

    Returns:
        A functional ``keras.Model``. Input: float images (N, H, W, C), standardized by the caller.

    Raises:
        ValueError: An argument is not one of the above; see the message.
    """
    classes = check_head(include_top, pooling, classes, dropout)
    options = (stem, stem_pool, shortcut, cardinality, base_width, downsampling)
    network = Architecture(block, blocks, *options)
    start = Start(weights, f"resnet{network.depth or ''}", recalibration)
    unit = network.units(start.stride_in(stride_in), data_format, drop_path_rate)
    specs = start.specs(spec_of_each_block(recalibration, network.blocks))
    side = 224 if include_top else None
    inputs = image_input(input_tensor, input_shape, side, unit.data_format, MINIMUM_SIDE)
    x = pooled(unit, stem_convolutions(unit, inputs, stem), stem_pool)
    x = unit.stages(x, PLANES, specs)
    outputs = head(
        x, include_top, pooling, classes, classifier_activation, unit.data_format, dropout
    )
    return start.load(keras.Model(inputs, outputs, name=name or f"resnet{network.depth or ''}"))


def plan(
    block: str = "bottleneck",
    blocks: Sequence[int] = (3, 4, 6, 3),
    recalibration: NestedSpec = None,
    stride_in: str | None = None,
    data_format: str | None = None,
    stem: str = "7x7",
    stem_pool: str = "max",
    shortcut: str = "projection",
    cardinality: int = 1,
    base_width: int = 64,
    downsampling: str = "stride",
    drop_path_rate: float = 0.0,
) -> tuple[Unit, list[list[Spec]]]:
    """The units and the spec of each block of ``ResNet``; nothing is built."""
    options = (stem, stem_pool, shortcut, cardinality, base_width, downsampling)
    network = Architecture(block, blocks, *options)
    unit = network.units(stride_in, data_format, drop_path_rate)
    return unit, spec_of_each_block(recalibration, network.blocks)


def stem_convolutions(unit: Unit, x, stem: str):
    """A 7×7 convolution of stride 2, or three of 3×3 of which the first has it."""
    widths = STEMS[stem]
    if len(widths) == 1:
        return unit.conv_bn(x, widths[0], 7, 2, "conv1", relu=True)
    for index, width in enumerate(widths, start=1):
        x = unit.conv_bn(x, width, 3, 2 if index == 1 else 1, f"conv1_{index}", relu=True)
    return x


def pooled(unit: Unit, x, stem_pool: str):
    """3×3 max pool of stride 2, or an average or a convolution in its place."""
    if stem_pool == "conv":
        width = x.shape[channel_axis(unit.data_format)]
        return unit.conv_bn(x, width, 3, 2, "conv1_pool", relu=True)
    if unit.downsampling == "average":
        return layers.AveragePooling2D(2, data_format=unit.data_format, name="pool1")(x)
    x = layers.ZeroPadding2D(1, data_format=unit.data_format, name="pool1_pad")(x)
    return layers.MaxPooling2D(3, 2, data_format=unit.data_format, name="pool1")(x)


_Arguments = ParamSpec("_Arguments")


def _variant(
    depth: int, network: Callable[Concatenate[str, Sequence[int], _Arguments], keras.Model]
) -> Callable[_Arguments, keras.Model]:
    """``network`` of a fixed depth, whose other arguments editors and type checkers still see."""

    def builder(*args: _Arguments.args, **kwargs: _Arguments.kwargs) -> keras.Model:
        block, blocks = DEPTHS[depth]
        return network(block, blocks, *args, **kwargs)

    builder.__name__ = builder.__qualname__ = f"ResNet{depth}"
    documented = re.sub(r"\n *blocks?: .*", "", network.__doc__ or "", count=2)
    builder.__doc__ = documented.replace("a ResNet", f"ResNet-{depth}", 1)
    signature = inspect.signature(network)
    _, _, *parameters = signature.parameters.values()
    builder.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    return builder


ResNet18 = _variant(18, ResNet)
ResNet34 = _variant(34, ResNet)
ResNet50 = _variant(50, ResNet)
ResNet101 = _variant(101, ResNet)
ResNet152 = _variant(152, ResNet)
