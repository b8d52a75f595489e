"""Pyramid features, for detectors and segmenters."""

import math
import re
from collections.abc import Mapping

import keras

from srm_keras.layers.conventions import spatial_axes
from srm_keras.models.surgery.functional import check_functional, is_functional

_UNIT_OUTPUT = re.compile(r"conv(\d+)_(?:block)?(\d+)_out")
_LEVEL = re.compile(r"P\d")
_PROBE_SIDE = 256


@keras.saving.register_keras_serializable("srm_keras")
class PyramidBackbone(keras.Model):
    """A functional model that gives a dict of feature maps; ``as_backbone`` makes one.

    It has what KerasHub (``pyramid_outputs``) and KerasCV (``pyramid_level_inputs``) look for in
    the backbone of a detector or segmenter, and needs neither of them.
    """

    @property
    def pyramid_outputs(self) -> dict[str, keras.KerasTensor]:
        """Feature map of each level: ``"P3"`` is 8 times smaller than the image."""
        return dict(self.output)

    @property
    def pyramid_level_inputs(self) -> dict[str, str]:
        """Name of the layer whose output is the feature map of each level."""
        return dict(zip(sorted(self.output), self.output_names, strict=True))


def as_backbone(
    model: keras.Model, levels: Mapping[str, str] | None = None, name: str | None = None
) -> PyramidBackbone:
    """Return the part of ``model`` up to its feature maps, as detectors and segmenters take it.

    The layers are those of ``model``: what trains the one trains the other. What lies behind the
    deepest feature map (pooling, classifier) is left out.

    Args:
        model: A functional model with one input of images (N, H, W, C) or (N, C, H, W).
        levels: Name of the layer for each level, ``{"P2": "conv2_3_out", …}``, where ``Pn`` is
            2ⁿ times smaller than the image. By default those of ``pyramid_outputs``.
        name: Of the backbone; that of ``model`` by default.

    Raises:
        ValueError: ``model`` is not functional or has several inputs; a layer of ``levels`` does
            not exist, is called more than once or gives no map of that size; or there are no
            ``levels`` and the names of the layers do not tell.

    Example:
        >>> backbone = as_backbone(ResNet50(include_top=False, recalibration="srm"))
        >>> keras_hub.models.RetinaNetBackbone(backbone, min_level=3, max_level=7, use_p5=False)
        >>> keras_cv.models.DeepLabV3Plus(backbone=backbone, num_classes=21)
    """
    check_functional(model)
    outputs = pyramid_outputs(model) if levels is None else _chosen(model, levels)
    return PyramidBackbone(_image(model), outputs, name=name or model.name)


def pyramid_outputs(model: keras.Model) -> dict[str, keras.KerasTensor]:
    """Return the output of each stage, keyed ``"P2"``, ``"P3"``, … by log₂ of its stride.

    Works on any network of this package and on the ResNets of ``keras.applications``, with or
    without top, with modules inserted or not, freshly built or loaded from a file.
    ``keras.Model(model.input, pyramid_outputs(model))`` is the feature extractor.

    Args:
        model: A ResNet whose blocks end in layers named ``conv2_1_out`` or ``conv2_block1_out``.

    Raises:
        ValueError: The model has no blocks named so, or several inputs.
    """
    units = {}
    for layer in model.layers:
        match = _UNIT_OUTPUT.fullmatch(layer.name)
        if match:
            units[int(match[1]), int(match[2])] = layer.output
    if not units:
        raise ValueError(
            "`model` must be a ResNet of this package or of keras.applications, with layers named "
            "conv2_1_out or conv2_block1_out and so on; of another network, `as_backbone` takes "
            f"the layers as `levels`. Received: {model.name!r}"
        )
    outputs = [units[place] for place in sorted(units)]
    levels = [round(math.log2(stride)) for stride in _strides(model, outputs)]
    last = dict(zip(levels, outputs, strict=True))
    return {f"P{level}": last[level] for level in sorted(last)}


def _chosen(model: keras.Model, levels: Mapping[str, str]) -> dict[str, keras.KerasTensor]:
    """The outputs of the layers that ``levels`` names, which must have the sizes it says."""
    if not levels or not all(_LEVEL.fullmatch(str(level)) for level in levels):
        raise ValueError(
            '`levels` must map levels, "P0" to "P9", to names of layers. '
            f"Received: levels={dict(levels)}"
        )
    outputs = {level: _feature_map(model, levels[level]) for level in sorted(levels)}
    strides = _strides(model, list(outputs.values()))
    for (level, tensor), stride in zip(outputs.items(), strides, strict=True):
        if round(math.log2(stride)) != int(level[1:]):
            raise ValueError(
                f"`levels` must give for {level!r} a layer whose output is "
                f"{2 ** int(level[1:])} times smaller than the image. Received: "
                f"{levels[level]!r}, whose output has shape {tuple(tensor.shape)} and is "
                f"{stride:.3g} times smaller"
            )
    return outputs


def _feature_map(model: keras.Model, name: str) -> keras.KerasTensor:
    layer = {layer.name: layer for layer in model.layers}.get(name)
    if layer is None or is_functional(layer):
        found = "an inner model" if layer else "no layer"
        raise ValueError(
            f"`levels` must name layers of `model` itself. Received: {name!r}, {found} of "
            f"{model.name!r}"
        )
    try:
        tensor = layer.output
    except AttributeError:
        tensor = None
    if not isinstance(tensor, keras.KerasTensor) or len(tensor.shape) != 4:
        raise ValueError(
            "`levels` must name layers that are called once and give one four-dimensional map. "
            f"Received: {name!r}, a {type(layer).__name__}"
        )
    return tensor


def _image(model: keras.Model) -> keras.KerasTensor:
    if len(model.inputs) != 1 or len(model.inputs[0].shape) != 4:
        raise ValueError(
            "`model` must have one input, of images (N, H, W, C) or (N, C, H, W). "
            f"Received: {model.name!r}, with inputs of shape {[x.shape for x in model.inputs]}"
        )
    return model.inputs[0]


def _strides(model: keras.Model, outputs: list[keras.KerasTensor]) -> list[float]:
    """How many times smaller each output is than the image, at a side of 256 where it is free."""
    image = _image(model)
    formats = (layer.data_format for layer in model.layers if hasattr(layer, "data_format"))
    axes = spatial_axes(next(formats, None) or keras.config.image_data_format())
    probe = [1, *image.shape[1:]]
    for axis in axes:
        probe[axis] = probe[axis] or _PROBE_SIDE
    shapes = keras.Model(image, outputs).compute_output_shape(tuple(probe))
    return [probe[axes[0]] / shape[axes[0]] for shape in shapes]
