"""Networks by name."""

import fnmatch
import inspect
from collections.abc import Callable, Mapping
from typing import Any

import keras

from srm_keras.layers.registry import list_recalibrations
from srm_keras.models import cifar_resnet, variants
from srm_keras.models import resnet as imagenet_resnet
from srm_keras.models.cifar_resnet import CifarResNet
from srm_keras.models.head import check_head, check_image_shape
from srm_keras.models.resnet import ResNet
from srm_keras.support.validation import known_options, one_of

CIFAR_DEPTHS = (8, 20, 32, 44, 56, 110)
CIFAR_BLOCKS = ("bottleneck", "basic")


Network = tuple[Callable[..., keras.Model], dict[str, Any]]
"""A builder and the arguments of it that a name stands for."""


def _networks() -> dict[str, Network]:
    networks: dict[str, Network] = {}
    for name in variants.NAMES:
        network, module = variants.variant(name)
        recalibration = {} if module is None else {"recalibration": module}
        networks[name] = (ResNet, {**network.settings, **recalibration})
    networks["cifar_resnet"] = (CifarResNet, {})
    for block in CIFAR_BLOCKS:
        for depth in CIFAR_DEPTHS:
            networks[f"cifar_resnet{depth}_{block}"] = (
                CifarResNet,
                {"depth": depth, "block": block},
            )
    return networks


_NETWORKS = _networks()
_PLANS: dict[Callable[..., keras.Model], tuple[Callable[..., Any], int]] = {
    ResNet: (imagenet_resnet.plan, imagenet_resnet.MINIMUM_SIDE),
    CifarResNet: (cifar_resnet.plan, cifar_resnet.MINIMUM_SIDE),
}


def list_models(pattern: str = "*") -> list[str]:
    """Return the names that ``build`` knows and that match the shell ``pattern``, sorted.

    A name is a network (``"resnet50"``, ``"cifar_resnet56_bottleneck"``), or one without modules
    behind the name of a module (``"srm_resnet50"``). Names of timm's networks are its own
    (``"seresnext26d_32x4d"``). ``"cifar_resnet"`` takes ``depth`` and ``block``.
    """
    prefixes = [f"{module}_" for module in list_recalibrations()]
    plain = [name for name, (_, fixed) in _NETWORKS.items() if "recalibration" not in fixed]
    names = [*_NETWORKS, *(prefix + name for name in plain for prefix in prefixes)]
    return sorted(fnmatch.filter(names, pattern))


def settings_of(name: str) -> Network:
    """Return the builder of a network of ``list_models()`` and the arguments that its name fixes.

    Raises:
        ValueError: An unknown name; the message has the nearest.
    """
    one_of("name", name, list_models())
    if name in _NETWORKS:
        builder, fixed = _NETWORKS[name]
        return builder, dict(fixed)
    module, _, network = name.partition("_")
    builder, fixed = _NETWORKS[network]
    return builder, {**fixed, "recalibration": module}


def build(name: str, **kwargs: Any) -> keras.Model:
    """Build a network by name: ``build("srm_resnet50", classes=10)``.

    Args:
        name: One of ``list_models()``.
        **kwargs: For the network's builder (``ResNet50``, ``CifarResNet``).

    Raises:
        ValueError: An unknown name (the message has the nearest), or ``recalibration`` or another
            argument given twice, in the name and by keyword.
    """
    builder, arguments = _call_of(name, kwargs)
    return builder(**arguments)


def check_build(name: str, **kwargs: Any) -> None:
    """Raise what ``build`` would raise for wrong arguments, in no time: nothing is built.

    Args:
        name: As for ``build``.
        **kwargs: As for ``build``; whether files of ``weights`` fit is not looked at.
    """
    builder, arguments = _call_of(name, kwargs)
    bound = inspect.signature(builder).bind(**arguments)
    bound.apply_defaults()
    given = bound.arguments
    check_head(given["include_top"], given["pooling"], given["classes"], given["dropout"])
    plan, minimum = _PLANS[builder]
    unit, _ = plan(**{name: given[name] for name in inspect.signature(plan).parameters})
    if given["input_shape"] is not None:
        check_image_shape(given["input_shape"], unit.data_format, minimum)


def _call_of(
    name: str, kwargs: Mapping[str, Any]
) -> tuple[Callable[..., keras.Model], dict[str, Any]]:
    """The builder of a network by name, and what it is called with."""
    builder, settings = settings_of(name)
    twice = sorted(settings.keys() & kwargs.keys())
    if twice:
        raise ValueError(
            f"`{twice[0]}` is already part of the name {name!r}. "
            f"Received: {twice[0]}={kwargs[twice[0]]!r}"
        )
    known = inspect.signature(builder).parameters
    known_options(repr(name), kwargs, known, "argument")
    return builder, {"name": name, **settings, **kwargs}


def name_of(name: str, **kwargs: Any) -> str:
    """Return the longest name of what ``build(name, **kwargs)`` builds, the module first.

    ``name_of("cifar_resnet", depth=8, block="basic", recalibration="srm")`` is
    ``"srm_cifar_resnet8_basic"``.
    """
    builder, arguments = _call_of(name, kwargs)
    fixed = {
        one: settings
        for one, (other, settings) in _NETWORKS.items()
        if other is builder
        and "recalibration" not in settings
        and all(arguments.get(key) == value for key, value in settings.items())
    }
    network = max(fixed, key=lambda one: len(fixed[one]), default=name)
    spec = arguments.get("recalibration")
    module = spec.get("name") if isinstance(spec, Mapping) else spec
    return f"{module}_{network}" if module in list_recalibrations() else network


def without_module(name: str) -> str:
    """The same network without modules: ``"resnet50"`` for ``"srm_resnet50"`` and ``"seresnet50"``.

    ``name`` itself where the catalogue has no such network.
    """
    builder, settings = settings_of(name)
    settings.pop("recalibration", None)
    return next((one for one, other in _NETWORKS.items() if other == (builder, settings)), name)
