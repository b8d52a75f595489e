"""Pyramid features, for detectors and segmenters."""

import math
import re

import keras

from srm_keras.layers.data_format import spatial_axes

_UNIT_OUTPUT = re.compile(r"conv(\d+)_(\d+)_out")
_PROBE_SIDE = 256


def pyramid_outputs(model: keras.Model) -> dict[str, keras.KerasTensor]:
    """Return the output of each stage, keyed ``"P2"``, ``"P3"``, … by log₂ of its stride.

    Works on any network of this package, with or without top, freshly built or loaded from a
    file. ``keras.Model(model.input, pyramid_outputs(model))`` is the feature extractor.

    Args:
        model: a ResNet of this package.

    Raises:
        ValueError: the model has no residual stages named as in this package.
    """
    ends: dict[int, tuple[int, keras.layers.Layer]] = {}
    for layer in model.layers:
        match = _UNIT_OUTPUT.fullmatch(layer.name)
        if match:
            stage, unit = int(match[1]), int(match[2])
            ends[stage] = max(ends.get(stage, (0, layer)), (unit, layer), key=lambda end: end[0])
    if not ends:
        raise ValueError(
            "`model` must be a ResNet of this package, with layers named conv2_1_out and so on. "
            f"Received: {model.name!r}"
        )
    outputs = [ends[stage][1].output for stage in sorted(ends)]
    return {f"P{_level(model, output)}": output for output in outputs}


def _level(model: keras.Model, output) -> int:
    data_format = next(
        layer.data_format for layer in model.layers if isinstance(layer, keras.layers.Conv2D)
    )
    axis = spatial_axes(data_format)[0]
    probe = [1, *model.input_shape[1:]]
    for side in spatial_axes(data_format):
        probe[side] = probe[side] or _PROBE_SIDE
    shape = keras.Model(model.input, output).compute_output_shape(tuple(probe))
    return round(math.log2(probe[axis] / shape[axis]))
