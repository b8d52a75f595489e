"""Modules that change nothing at the start.

The layer before a module's sigmoid starts at zero, so that all its gates are σ(0) = ½ whatever the
image is; a constant factor of 2 behind the module makes up for it (4 for CBAM, whose gate is the
product of two). Both are powers of two: the result is equal to the last bit. The layer that starts
at zero receives gradients from the first step on, those before it from the second.
"""

from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from srm_keras.layers import CBAM, ECA, SRM, GatherExcite, SqueezeExcite


def check_neutral(module: keras.layers.Layer) -> None:
    """Raise ``ValueError`` unless it is known how this module starts neutral."""
    if type(module) not in _LAST:
        known = sorted(kind.__name__ for kind in _LAST)
        raise ValueError(
            f"`neutral` must be False for modules other than {known}, of which it is not known "
            f"how to make them start neutral. Received: {module.name!r}, a {type(module).__name__}"
        )
    if isinstance(module, GatherExcite) and module.params == "theta_minus":
        raise ValueError(
            "`neutral` must be False for GatherExcite(params='theta_minus'), which has no weights "
            f"that could start at zero. Received: {module.name!r}"
        )


def neutral_scale(module: keras.layers.Layer) -> float:
    """The inverse of the gates with which a neutral module starts."""
    return 4.0 if isinstance(module, CBAM) else 2.0


def start_neutral(module: keras.layers.Layer) -> None:
    """Set to zero what comes last before the sigmoid of a built module."""
    for layer in _LAST[type(module)](module):
        is_bn = isinstance(layer, keras.layers.BatchNormalization)
        for variable in (layer.gamma, layer.beta) if is_bn else layer.weights:
            variable.assign(ops.zeros(variable.shape))


def _last_of_srm(module: SRM) -> list[keras.layers.Layer]:
    # A batch norm behind it, new as it is, maps zeros to zeros.
    return [module.encoder if module.integration == "cfc" else module.encoder.expand]


def _last_of_gather_excite(module: GatherExcite) -> list[keras.layers.Layer]:
    return (module.pointwise or module.bns or module.depthwise)[-1:]


_LAST: dict[type, Callable[[Any], list[keras.layers.Layer]]] = {
    CBAM: lambda module: [module.mlp.expand, module.conv],
    ECA: lambda module: [module.conv],
    GatherExcite: _last_of_gather_excite,
    SRM: _last_of_srm,
    SqueezeExcite: lambda module: [module.mlp.expand],
}
