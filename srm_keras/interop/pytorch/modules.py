"""Recalibration modules under the names that PyTorch implementations give their parameters.

=============  ====================================================================================
layout         modules
=============  ====================================================================================
torchvision    none
timm           ``se``: SE as two 1×1 convolutions (``fc1``, ``fc2``), ECA (``conv``)
authors        ``rclb``, of the code that came with the SRM paper: SRM (``cfc``, ``bn``), SE
               (``fc.0``, ``fc.2``), global GE-θ (``conv.0`` depthwise, ``conv.1`` batch norm)
=============  ====================================================================================
"""

from collections.abc import Callable
from typing import Any

import keras

from srm_keras.interop.pytorch import entries
from srm_keras.interop.pytorch.entries import Entry, batch_norm_entries, kernel_entries
from srm_keras.layers import ECA, SRM, GatherExcite, SqueezeExcite

ATTRIBUTES = {"torchvision": None, "timm": "se", "authors": "rclb"}
# torch.std divides by H·W − 1 and adds nothing to the variance (1e-12 keeps the gradient finite).
AUTHORS_SRM = {"name": "srm", "unbiased": True, "epsilon": 1e-12}


def module_entries(layer: keras.layers.Layer, layout: str, unit: str) -> list[Entry]:
    """The entries of the recalibration module of a residual unit.

    Args:
        layer: the module.
        layout: a key of ``ATTRIBUTES``.
        unit: name of the unit in PyTorch, such as ``"layer1.0"``.

    Raises:
        ValueError: the layout has no such module, or only with other options.
    """
    known = _MODULES[layout]
    if type(layer) not in known:
        names = ", ".join(module.__name__ for module in known) or "no modules"
        raise ValueError(
            f"Weights in the layout {layout!r} have {names}. "
            f"Received: a network with {type(layer).__name__} ({layer.name!r})"
        )
    return known[type(layer)](layer, f"{unit}.{ATTRIBUTES[layout]}")


def _timm_se(layer: Any, name: str) -> list[Entry]:
    reduce = kernel_entries(f"{name}.fc1", layer.mlp.reduce, entries.DENSE, ones=2)
    return reduce + kernel_entries(f"{name}.fc2", layer.mlp.expand, entries.DENSE, ones=2)


def _timm_eca(layer: Any, name: str) -> list[Entry]:
    return kernel_entries(f"{name}.conv", layer.conv, entries.CONVOLUTION_1D)


def _authors_se(layer: Any, name: str) -> list[Entry]:
    reduce = kernel_entries(f"{name}.fc.0", layer.mlp.reduce, entries.DENSE)
    return reduce + kernel_entries(f"{name}.fc.2", layer.mlp.expand, entries.DENSE)


def _authors_srm(layer: Any, name: str) -> list[Entry]:
    style = tuple(layer.pooling) == ("avg", "std") and layer.integration == "cfc"
    if not (style and layer.batch_norm and layer.unbiased):
        raise ValueError(
            "The SRM authors' module has mean, torch.std (unbiased), CFC and batch norm: "
            f"`recalibration` must be {AUTHORS_SRM}. Received: {layer.name!r} with "
            f"pooling={layer.pooling}, integration={layer.integration!r}, "
            f"batch_norm={layer.batch_norm}, unbiased={layer.unbiased}"
        )
    cfc = Entry(f"{name}.cfc", layer.encoder.kernel, entries.AS_IT_IS)
    return [cfc, *batch_norm_entries(f"{name}.bn", layer.bn)]


def _authors_ge(layer: Any, name: str) -> list[Entry]:
    if layer.extent or layer.params != "theta" or not layer.batch_norm:
        raise ValueError(
            "The SRM authors' Gather-Excite is global, with one depthwise convolution and batch "
            f"norm: `recalibration` must be 'ge'. Received: {layer.name!r} with "
            f"extent={layer.extent}, params={layer.params!r}, batch_norm={layer.batch_norm}"
        )
    gather = kernel_entries(f"{name}.conv.0", layer.depthwise[0], entries.DEPTHWISE)
    return gather + batch_norm_entries(f"{name}.conv.1", layer.bns[0])


_MODULES: dict[str, dict[type, Callable[[Any, str], list[Entry]]]] = {
    "torchvision": {},
    "timm": {SqueezeExcite: _timm_se, ECA: _timm_eca},
    "authors": {SRM: _authors_srm, SqueezeExcite: _authors_se, GatherExcite: _authors_ge},
}
