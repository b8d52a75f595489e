"""Every variable of a ResNet of this package under its name in a PyTorch state dict."""

import re

import keras

from srm_keras.interop.pytorch import entries
from srm_keras.interop.pytorch.entries import Entry, batch_norm_entries, kernel_entries
from srm_keras.interop.pytorch.modules import ATTRIBUTES, module_entries
from srm_keras.layers import Recalibration
from srm_keras.validation import one_of

LAYOUTS = tuple(ATTRIBUTES)
HEAD = "fc."

_OUTSIDE_UNITS = {"conv1_conv": "conv1", "conv1_bn": "bn1", "logits": "fc"}
_LAYER = re.compile(r"conv(\d+)_(\d+)_(?:(\d|shortcut)_(conv|bn)|recalibration)")


def network_entries(model: keras.Model, layout: str) -> list[Entry]:
    """The entries of a whole network.

    Args:
        model: ``ResNet18`` … ``ResNet152``, as built.
        layout: one of ``LAYOUTS``.

    Raises:
        ValueError: an unknown layout, a module that it has not, a network of another kind, or
            one whose bottlenecks stride in the first 1×1 convolution: torchvision's, timm's and
            the SRM authors' stride in the 3×3.
    """
    one_of("layout", layout, LAYOUTS)
    if not isinstance(model, keras.Model):
        raise ValueError(f"`model` must be a keras.Model. Received: model={model!r}")
    _check_strides(model)
    result = []
    for layer in model.layers:
        if layer.weights:
            result += _layer_entries(layer, layout)
    return result


def _layer_entries(layer: keras.layers.Layer, layout: str) -> list[Entry]:
    match = _LAYER.fullmatch(layer.name)
    if layer.name in _OUTSIDE_UNITS:
        name = _OUTSIDE_UNITS[layer.name]
    elif match:
        stage, unit, part, kind = match.groups()
        name = f"layer{int(stage) - 1}.{int(unit) - 1}"
        if isinstance(layer, Recalibration):
            return module_entries(layer, layout, name)
        name += _inside_unit(part, kind)
    else:
        raise _foreign(layer)
    if isinstance(layer, keras.layers.BatchNormalization):
        return batch_norm_entries(name, layer)
    if isinstance(layer, keras.layers.Dense):
        return kernel_entries(name, layer, entries.DENSE)
    if isinstance(layer, keras.layers.Conv2D) and not layer.use_bias:
        return kernel_entries(name, layer, entries.CONVOLUTION)
    raise _foreign(layer)


def _inside_unit(part: str, kind: str) -> str:
    if part == "shortcut":
        return f".downsample.{('conv', 'bn').index(kind)}"
    return f".{kind}{part}"


def _foreign(layer: keras.layers.Layer) -> ValueError:
    return ValueError(
        "`model` must be a ResNet of this package as it was built (not folded, nothing added). "
        f"Received: a model with the layer {layer.name!r} ({type(layer).__name__})"
    )


def _check_strides(model: keras.Model) -> None:
    names = {layer.name for layer in model.layers}
    for layer in model.layers:
        first = re.fullmatch(r"(conv\d+_1)_1_conv", layer.name)
        if first and f"{first[1]}_3_conv" in names and set(layer.strides) != {1}:
            raise ValueError(
                "`model` must stride in the 3×3 convolutions of its bottlenecks, as PyTorch's "
                "ResNets do: build it with stride_in='3x3'. "
                f"Received: {layer.name!r} with strides={layer.strides}"
            )
