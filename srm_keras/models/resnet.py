"""ResNets for ImageNet-sized images, with a recalibration module in every residual block."""

import inspect
import os
import re
from collections.abc import Callable
from typing import Concatenate, ParamSpec

import keras
from keras import layers

from srm_keras.layers.conventions import standardize_data_format
from srm_keras.layers.registry import Spec
from srm_keras.models.head import check_head, head, image_input, load_weights
from srm_keras.models.residual import NestedSpec, Unit, spec_of_each_block
from srm_keras.support.validation import one_of

# Residual block and blocks of the stages conv2 … conv5 (He et al. 2016, table 1).
DEPTHS = {
    18: ("basic", (2, 2, 2, 2)),
    34: ("basic", (3, 4, 6, 3)),
    50: ("bottleneck", (3, 4, 6, 3)),
    101: ("bottleneck", (3, 4, 23, 3)),
    152: ("bottleneck", (3, 8, 36, 3)),
}
PLANES = (64, 128, 256, 512)
MINIMUM_SIDE = 32


def resnet(
    depth: int,
    include_top: bool = True,
    weights: str | os.PathLike | None = None,
    input_tensor=None,
    input_shape: tuple[int | None, ...] | None = None,
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: str | None = "softmax",
    recalibration: NestedSpec = None,
    stride_in: str = "3x3",
    data_format: str | None = None,
    name: str | None = None,
) -> keras.Model:
    """Build a ResNet with a recalibration module at the end of each residual branch.

    The module comes after the branch's last batch norm and before the addition.

    Args:
        depth: 18, 34, 50, 101 or 152.
        include_top: End in global average pool, dense layer and activation.
        weights: None, or a ``.weights.h5`` or ``.keras`` file of the same network.
        input_tensor: A Keras tensor to build upon.
        input_shape: (H, W, C), each side at least 32 pixels or None. (224, 224, 3) by default, or
            (None, None, 3) where ``include_top=False``.
        pooling: None, ``"avg"`` or ``"max"``, where ``include_top=False``.
        classes: Number of classes.
        classifier_activation: ``"softmax"``, or None for logits; float32 under mixed precision.
        recalibration: A spec (``None``, ``"srm"``, ``{"name": "se", "reduction": 8}``, a Layer
            class, a callable), or a list with an entry a stage, which may be a list with a spec a
            block: ``[None, "se", "srm", ["srm", None, "srm"]]``.
        stride_in: Where a bottleneck strides: ``"3x3"`` (the SRM authors' code, torchvision;
            4.09 G multiply-adds) or ``"1x1"`` (He et al.; 3.86 G, the number in the SRM paper).
        data_format: ``"channels_last"``, ``"channels_first"`` or None for Keras' global setting.
        name: Of the model.

    Returns:
        A functional ``keras.Model``. Input: float images (N, H, W, C), standardized by the caller.

    Raises:
        ValueError: An argument is not one of the above; see the message.

    Reference:
        He et al. 2016; Lee et al. 2019, figure 2 and table 1.
    """
    classes = check_head(include_top, pooling, classes)
    unit, specs = plan(depth, recalibration, stride_in, data_format)
    side = 224 if include_top else None
    inputs = image_input(input_tensor, input_shape, side, unit.data_format, MINIMUM_SIDE)

    x = unit.stages(stem(unit, inputs), PLANES, specs)
    outputs = head(x, include_top, pooling, classes, classifier_activation, unit.data_format)
    return load_weights(keras.Model(inputs, outputs, name=name or f"resnet{depth}"), weights)


def plan(
    depth: int,
    recalibration: NestedSpec = None,
    stride_in: str = "3x3",
    data_format: str | None = None,
) -> tuple[Unit, list[list[Spec]]]:
    """The units and the spec of each block of ``resnet``; nothing is built."""
    block, blocks = DEPTHS[one_of("depth", depth, DEPTHS)]
    unit = Unit(block, stride_in, "projection", standardize_data_format(data_format))
    return unit, spec_of_each_block(recalibration, blocks)


def stem(unit: Unit, x):
    """7×7 convolution of stride 2 and 3×3 max pool of stride 2."""
    x = unit.conv_bn(x, PLANES[0], 7, 2, "conv1", relu=True)
    x = layers.ZeroPadding2D(1, data_format=unit.data_format, name="pool1_pad")(x)
    return layers.MaxPooling2D(3, 2, data_format=unit.data_format, name="pool1")(x)


_Arguments = ParamSpec("_Arguments")


def _variant(
    depth: int, network: Callable[Concatenate[int, _Arguments], keras.Model]
) -> Callable[_Arguments, keras.Model]:
    """``network`` of a fixed depth, whose other arguments editors and type checkers still see."""

    def builder(*args: _Arguments.args, **kwargs: _Arguments.kwargs) -> keras.Model:
        return network(depth, *args, **kwargs)

    builder.__name__ = builder.__qualname__ = f"ResNet{depth}"
    documented = re.sub(r"\n *depth: .*", "", network.__doc__ or "", count=1)
    builder.__doc__ = documented.replace("a ResNet", f"ResNet-{depth}", 1)
    signature = inspect.signature(network)
    _, *parameters = signature.parameters.values()
    builder.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    return builder


ResNet18 = _variant(18, resnet)
ResNet34 = _variant(34, resnet)
ResNet50 = _variant(50, resnet)
ResNet101 = _variant(101, resnet)
ResNet152 = _variant(152, resnet)
