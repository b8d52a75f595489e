"""Every variable of a ResNet of this package under its name in a PyTorch state dict.

=============  ====================================================================================
layout         modules
=============  ====================================================================================
torchvision    none
timm           ``se``: SE as two 1×1 convolutions (``fc1``, ``fc2``), ECA (``conv``)
authors        ``rclb``, of the code that came with the SRM paper: SRM (``cfc``, ``bn``), SE
               (``fc.0``, ``fc.2``), global GE-θ (``conv.0`` depthwise, ``conv.1`` batch norm)
=============  ====================================================================================
"""

import dataclasses
import re
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from srm_keras.layers import ECA, SRM, GatherExcite, Recalibration, SqueezeExcite
from srm_keras.support.validation import one_of

CONVOLUTION = (3, 2, 0, 1)  # (H, W, in, out) here, (out, in, H, W) in PyTorch
DEPTHWISE = (2, 3, 0, 1)  # (H, W, C, 1) here, (C, 1, H, W) in PyTorch
CONVOLUTION_1D = (2, 1, 0)  # (k, in, out) here, (out, in, k) in PyTorch
DENSE = (1, 0)  # (in, out) here, (out, in) in PyTorch
AS_IT_IS = (0, 1)
VECTOR = (0,)


@dataclasses.dataclass(frozen=True)
class Entry:
    """An array of a state dict and the variable that holds it here.

    Attributes:
        name: In the state dict, such as ``"layer1.0.conv1.weight"``.
        variable: Of the Keras network.
        axes: The variable's axes in PyTorch's order.
        ones: Axes of length 1 that PyTorch has after those (a dense layer as 1×1 convolution).
    """

    name: str
    variable: Any
    axes: tuple[int, ...] = VECTOR
    ones: int = 0

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the array in PyTorch."""
        return tuple(self.variable.shape[axis] for axis in self.axes) + (1,) * self.ones

    def to_torch(self) -> np.ndarray:
        """The variable's value, as PyTorch has it."""
        value = keras.ops.convert_to_numpy(self.variable).transpose(self.axes)
        return np.ascontiguousarray(value).reshape(self.shape)

    def to_keras(self, array: np.ndarray) -> np.ndarray:
        """An array of ``shape``, as the variable has it."""
        without_ones = array.reshape(self.shape[: len(self.axes)])
        return without_ones.transpose(np.argsort(self.axes))


def batch_norm_entries(name: str, layer: keras.layers.Layer) -> list[Entry]:
    """Scale, offset and moving statistics of a batch norm."""
    return [
        Entry(f"{name}.weight", layer.gamma),
        Entry(f"{name}.bias", layer.beta),
        Entry(f"{name}.running_mean", layer.moving_mean),
        Entry(f"{name}.running_var", layer.moving_variance),
    ]


def kernel_entries(
    name: str, layer: keras.layers.Layer, axes: tuple[int, ...], ones: int = 0
) -> list[Entry]:
    """Kernel and, where the layer has one, bias."""
    bias = [Entry(f"{name}.bias", layer.bias)] if layer.use_bias else []
    return [Entry(f"{name}.weight", layer.kernel, axes, ones), *bias]


ATTRIBUTES = {"torchvision": None, "timm": "se", "authors": "rclb"}
# torch.std divides by H·W − 1 and adds nothing to the variance (1e-12 keeps the gradient finite).
AUTHORS_SRM = {"name": "srm", "unbiased": True, "epsilon": 1e-12}


def module_entries(layer: keras.layers.Layer, layout: str, unit: str) -> list[Entry]:
    """The entries of the recalibration module of a residual unit.

    Args:
        layer: The module.
        layout: A key of ``ATTRIBUTES``.
        unit: Name of the unit in PyTorch, such as ``"layer1.0"``.

    Raises:
        ValueError: The layout has no such module, or only with other options.
    """
    known = _MODULES[layout]
    if type(layer) not in known:
        names = ", ".join(module.__name__ for module in known) or "no modules"
        raise ValueError(
            f"Weights in the layout {layout!r} have {names}. "
            f"Received: a network with {type(layer).__name__} ({layer.name!r})"
        )
    if layer.gain != 1:
        raise ValueError(
            f"Weights in the layout {layout!r} are of modules without a gain. "
            f"Received: {layer.name!r} with gain={layer.gain}"
        )
    return known[type(layer)](layer, f"{unit}.{ATTRIBUTES[layout]}")


def _timm_se(layer: Any, name: str) -> list[Entry]:
    reduce = kernel_entries(f"{name}.fc1", layer.mlp.reduce, DENSE, ones=2)
    return reduce + kernel_entries(f"{name}.fc2", layer.mlp.expand, DENSE, ones=2)


def _timm_eca(layer: Any, name: str) -> list[Entry]:
    return kernel_entries(f"{name}.conv", layer.conv, CONVOLUTION_1D)


def _authors_se(layer: Any, name: str) -> list[Entry]:
    reduce = kernel_entries(f"{name}.fc.0", layer.mlp.reduce, DENSE)
    return reduce + kernel_entries(f"{name}.fc.2", layer.mlp.expand, DENSE)


def _authors_srm(layer: Any, name: str) -> list[Entry]:
    style = tuple(layer.pooling) == ("avg", "std") and layer.integration == "cfc"
    if not (style and layer.batch_norm and layer.unbiased):
        raise ValueError(
            "The SRM authors' module has mean, torch.std (unbiased), CFC and batch norm: "
            f"`recalibration` must be {AUTHORS_SRM}. Received: {layer.name!r} with "
            f"pooling={layer.pooling}, integration={layer.integration!r}, "
            f"batch_norm={layer.batch_norm}, unbiased={layer.unbiased}"
        )
    cfc = Entry(f"{name}.cfc", layer.encoder.kernel, AS_IT_IS)
    return [cfc, *batch_norm_entries(f"{name}.bn", layer.bn)]


def _authors_ge(layer: Any, name: str) -> list[Entry]:
    if layer.extent or layer.params != "theta" or not layer.batch_norm:
        raise ValueError(
            "The SRM authors' Gather-Excite is global, with one depthwise convolution and batch "
            f"norm: `recalibration` must be 'ge'. Received: {layer.name!r} with "
            f"extent={layer.extent}, params={layer.params!r}, batch_norm={layer.batch_norm}"
        )
    gather = kernel_entries(f"{name}.conv.0", layer.depthwise[0], DEPTHWISE)
    return gather + batch_norm_entries(f"{name}.conv.1", layer.bns[0])


_MODULES: dict[str, dict[type, Callable[[Any, str], list[Entry]]]] = {
    "torchvision": {},
    "timm": {SqueezeExcite: _timm_se, ECA: _timm_eca},
    "authors": {SRM: _authors_srm, SqueezeExcite: _authors_se, GatherExcite: _authors_ge},
}


LAYOUTS = tuple(ATTRIBUTES)
HEAD = "fc."

_OUTSIDE_UNITS = {
    **{"conv1_conv": "conv1", "conv1_bn": "bn1", "logits": "fc"},
    # A stem of three convolutions: a sequence whose ReLUs count, the last batch norm outside.
    **{f"conv1_{index}_conv": f"conv1.{3 * (index - 1)}" for index in (1, 2, 3)},
    **{"conv1_1_bn": "conv1.1", "conv1_2_bn": "conv1.4", "conv1_3_bn": "bn1"},
    **{"conv1_pool_conv": "maxpool.0", "conv1_pool_bn": "maxpool.1"},
}
_LAYER = re.compile(r"conv(\d+)_(\d+)_(?:(\d|shortcut)_(conv|bn)|recalibration)")


def network_entries(model: keras.Model, layout: str) -> list[Entry]:
    """The entries of a whole network.

    Args:
        model: ``ResNet``, ``ResNet18`` … ``ResNet152``, as built.
        layout: One of ``LAYOUTS``.

    Raises:
        ValueError: An unknown layout, a module that it has not, a network of another kind, or
            one whose bottlenecks stride in the first 1×1 convolution: torchvision's, timm's and
            the SRM authors' stride in the 3×3.
    """
    one_of("layout", layout, LAYOUTS)
    if not isinstance(model, keras.Model):
        raise ValueError(f"`model` must be a keras.Model. Received: model={model!r}")
    _check_strides(model)
    pools = any(re.fullmatch(r"conv\d+_1_shortcut_pool", layer.name) for layer in model.layers)
    result = []
    for layer in model.layers:
        if layer.weights:
            result += _layer_entries(layer, layout, first_of_shortcut=1 if pools else 0)
    return result


def _layer_entries(layer: keras.layers.Layer, layout: str, first_of_shortcut: int) -> list[Entry]:
    match = _LAYER.fullmatch(layer.name)
    if layer.name in _OUTSIDE_UNITS:
        name = _OUTSIDE_UNITS[layer.name]
    elif match:
        stage, unit, part, kind = match.groups()
        name = f"layer{int(stage) - 1}.{int(unit) - 1}"
        if isinstance(layer, Recalibration):
            return module_entries(layer, layout, name)
        if part == "shortcut":
            name += f".downsample.{first_of_shortcut + ('conv', 'bn').index(kind)}"
        else:
            name += f".{kind}{part}"
    else:
        raise _foreign(layer)
    if isinstance(layer, keras.layers.BatchNormalization):
        return batch_norm_entries(name, layer)
    if isinstance(layer, keras.layers.Dense):
        return kernel_entries(name, layer, DENSE)
    if isinstance(layer, keras.layers.Conv2D) and not layer.use_bias:
        return kernel_entries(name, layer, CONVOLUTION)
    raise _foreign(layer)


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
