"""Networks by name."""

import fnmatch
from collections.abc import Callable
from typing import Any

import keras

from srm_keras.layers.registry import list_recalibrations
from srm_keras.models.cifar_resnet import CifarResNet
from srm_keras.models.resnet import DEPTHS, resnet
from srm_keras.validation import one_of

CIFAR_DEPTHS = (20, 32, 44, 56, 110)
CIFAR_BLOCKS = ("bottleneck", "basic")


def _networks() -> dict[str, tuple[Callable[..., keras.Model], dict[str, Any]]]:
    networks: dict[str, tuple[Callable[..., keras.Model], dict[str, Any]]] = {
        f"resnet{depth}": (resnet, {"depth": depth}) for depth in DEPTHS
    }
    networks["cifar_resnet"] = (CifarResNet, {})
    for block in CIFAR_BLOCKS:
        for depth in CIFAR_DEPTHS:
            networks[f"cifar_resnet{depth}_{block}"] = (
                CifarResNet,
                {"depth": depth, "block": block},
            )
    return networks


_NETWORKS = _networks()


def list_models(pattern: str = "*") -> list[str]:
    """Return the names that ``build`` knows and that match the shell ``pattern``, sorted.

    A name is a network (``"resnet50"``, ``"cifar_resnet56_bottleneck"``), or one behind the name
    of a module (``"srm_resnet50"``). ``"cifar_resnet"`` takes ``depth`` and ``block``.
    """
    prefixes = ["", *(f"{module}_" for module in list_recalibrations())]
    names = [prefix + network for network in _NETWORKS for prefix in prefixes]
    return sorted(fnmatch.filter(names, pattern))


def build(name: str, **kwargs: Any) -> keras.Model:
    """Build a network by name: ``build("srm_resnet50", classes=10)``.

    Args:
        name: one of ``list_models()``.
        **kwargs: for the network's builder (``ResNet50``, ``CifarResNet``).

    Raises:
        ValueError: an unknown name (the message has the nearest), or ``recalibration`` or another
            argument given twice, in the name and by keyword.
    """
    one_of("name", name, list_models())
    module, network = _split(name)
    builder, settings = _NETWORKS[network]
    if module:
        settings = {**settings, "recalibration": module}
    twice = sorted(settings.keys() & kwargs.keys())
    if twice:
        raise ValueError(
            f"`{twice[0]}` is already part of the name {name!r}. "
            f"Received: {twice[0]}={kwargs[twice[0]]!r}"
        )
    return builder(**{"name": name, **settings, **kwargs})


def _split(name: str) -> tuple[str | None, str]:
    if name in _NETWORKS:
        return None, name
    module, _, network = name.partition("_")
    return module, network
