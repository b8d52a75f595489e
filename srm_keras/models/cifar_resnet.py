"""ResNets for small images (CIFAR), with a recalibration module in every residual block."""

import os

import keras

from srm_keras.layers.conventions import standardize_data_format
from srm_keras.layers.registry import Spec
from srm_keras.models.head import check_head, head, image_input
from srm_keras.models.residual import NestedSpec, Unit, spec_of_each_block
from srm_keras.models.weights import Start
from srm_keras.support.validation import as_int

PLANES = (16, 32, 64)
MINIMUM_SIDE = 8


def CifarResNet(
    depth: int = 56,
    block: str = "bottleneck",
    include_top: bool = True,
    weights: str | os.PathLike | None = None,
    input_tensor=None,
    input_shape: tuple[int | None, ...] | None = None,
    pooling: str | None = None,
    classes: int = 10,
    classifier_activation: str | None = "softmax",
    recalibration: NestedSpec = None,
    stride_in: str | None = None,
    shortcut: str = "projection",
    data_format: str | None = None,
    name: str | None = None,
    drop_path_rate: float = 0.0,
    dropout: float = 0.0,
) -> keras.Model:
    """Build a three-stage ResNet for small images.

    ``depth = 6n + 2`` gives n blocks a stage for either block. With basic blocks that is He et
    al.'s network of that many layers. The SRM paper's "ResNet-56" has nine **bottleneck** blocks a
    stage: only that gives the paper's parameter counts (0.87 M; the classic one has 0.86 M, and SE
    in it would have a sixteenth of the paper's weights). The default is the paper's.

    Args:
        depth: 6n + 2: 8, 14, 20, 32, 44, 56, 110, ...
        block: ``"bottleneck"`` (the SRM paper; outputs 64, 128, 256) or ``"basic"`` (He et al.;
            outputs 16, 32, 64).
        include_top: End in global average pool, dense layer and activation.
        weights: As for ``ResNet50``; ``"texture_shapes"`` for ``cifar_resnet8_basic`` comes with
            the package.
        input_tensor: A Keras tensor to build upon.
        input_shape: (H, W, C), each side at least 8 pixels or None; (32, 32, 3) by default.
        pooling: None, ``"avg"`` or ``"max"``, where ``include_top=False``.
        classes: Number of classes.
        classifier_activation: ``"softmax"``, or None for logits; float32 under mixed precision.
        recalibration: A spec, or nested lists of specs, as for ``ResNet50``.
        stride_in: Where a bottleneck strides: ``"3x3"`` or ``"1x1"``; None as for ``ResNet50``.
        shortcut: Where shapes change: ``"projection"``, ``"average"`` (average pooling strides
            before it), or ``"identity"`` for He et al.'s option A (zero channels appended, no
            weights).
        data_format: ``"channels_last"``, ``"channels_first"`` or None for Keras' global setting.
        name: Of the model.
        drop_path_rate: As for ``ResNet50``.
        dropout: As for ``ResNet50``.

    Returns:
        A functional ``keras.Model``. Input: float images (N, H, W, C), standardized by the caller.

    Raises:
        ValueError: An argument is not one of the above; see the message.

    Reference:
        He et al. 2016, section 4.2; Lee et al. 2019, section 4.1 and table 2.
    """
    classes = check_head(include_top, pooling, classes, dropout)
    network = f"cifar_resnet{depth}_{block}"
    start = Start(weights, network, recalibration)
    stride_in = start.stride_in(stride_in)
    unit, specs = plan(
        depth, block, recalibration, stride_in, shortcut, data_format, drop_path_rate
    )
    inputs = image_input(input_tensor, input_shape, 32, unit.data_format, MINIMUM_SIDE)

    x = unit.conv_bn(inputs, PLANES[0], 3, 1, "conv1", relu=True)
    x = unit.stages(x, PLANES, start.specs(specs))
    outputs = head(
        x, include_top, pooling, classes, classifier_activation, unit.data_format, dropout
    )
    return start.load(keras.Model(inputs, outputs, name=name or network))


def plan(
    depth: int = 56,
    block: str = "bottleneck",
    recalibration: NestedSpec = None,
    stride_in: str | None = None,
    shortcut: str = "projection",
    data_format: str | None = None,
    drop_path_rate: float = 0.0,
) -> tuple[Unit, list[list[Spec]]]:
    """The units and the spec of each block of ``CifarResNet``; nothing is built."""
    blocks = (blocks_per_stage(depth),) * len(PLANES)
    data_format = standardize_data_format(data_format)
    unit = Unit(block, stride_in or "3x3", shortcut, data_format, drop_path_rate=drop_path_rate)
    return unit, spec_of_each_block(recalibration, blocks)


def blocks_per_stage(depth: int) -> int:
    """Return n of ``depth = 6n + 2``."""
    layers = as_int(depth)
    if layers is None or layers < 8 or (layers - 2) % 6:
        raise ValueError(
            f"`depth` must be 6n + 2: 8, 14, 20, 32, 44, 56, 110, ... Received: depth={depth!r}"
        )
    return (layers - 2) // 6
