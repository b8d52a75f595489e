"""One way to name a module: the recalibration spec."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import keras

from srm_keras.layers.base import Recalibration
from srm_keras.layers.cbam import CBAM
from srm_keras.layers.eca import ECA
from srm_keras.layers.gather_excite import GatherExcite
from srm_keras.layers.squeeze_excite import SqueezeExcite
from srm_keras.layers.srm import SRM
from srm_keras.support.validation import nearest, one_of

Spec = None | str | Mapping[str, Any] | Callable[..., keras.layers.Layer]

_MODULES: dict[str, type[Recalibration]] = {
    "cbam": CBAM,
    "eca": ECA,
    "ge": GatherExcite,
    "se": SqueezeExcite,
    "srm": SRM,
}


def list_recalibrations() -> list[str]:
    """Return the names that ``recalibration`` knows, sorted."""
    return sorted(_MODULES)


def recalibration(
    spec: Spec, name: str | None = None, data_format: str | None = None
) -> keras.layers.Layer | None:
    """Turn a recalibration spec into a new layer.

    Args:
        spec: None or ``"none"`` for no module; a name (``"srm"``); a dict of a name and options
            (``{"name": "se", "reduction": 8}``); a ``keras.layers.Layer`` subclass; or a callable
            that takes ``name`` and returns a layer.
        name: Of the layer.
        data_format: For named modules and ``Recalibration`` subclasses.

    Returns:
        A new, unbuilt layer, or None.

    Raises:
        ValueError: An unknown name or option (the message lists the known ones and the nearest),
            a layer instance (its weights would be shared), or anything else.
    """
    if spec is None or spec == "none":
        return None
    if isinstance(spec, str):
        spec = {"name": spec}
    if isinstance(spec, Mapping):
        return _from_mapping(spec, name, data_format)
    if isinstance(spec, keras.layers.Layer):
        raise ValueError(
            "`recalibration` must not be a layer instance, whose weights every block would share. "
            f"Pass its class, a dict or a function that makes one. Received: {spec}"
        )
    if callable(spec):
        return _from_callable(spec, name, data_format)
    raise ValueError(
        "`recalibration` must be None, a name, a dict with a name, a Layer class or a callable "
        f"that returns a layer. Received: recalibration={spec!r}"
    )


def spec_label(spec: Any) -> str:
    """Return what tables and pictures call a spec as recipes hold it: ``se(reduction=4)``.

    Args:
        spec: None, a name, a dict of a name and options, or a nested list of these (one for each
            stage or block).
    """
    if isinstance(spec, Mapping):
        options = [f"{key}={_option_label(value)}" for key, value in spec.items() if key != "name"]
        return f"{spec['name']}({', '.join(options)})" if options else spec["name"]
    if isinstance(spec, list | tuple):
        return f"[{', '.join(map(spec_label, spec))}]"
    return "none" if spec is None else str(spec)


def _option_label(value: Any) -> str:
    return "+".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _from_mapping(spec: Mapping[str, Any], name: str | None, data_format: str | None):
    options = {key: value for key, value in spec.items() if key != "name"}
    module = _MODULES[one_of("recalibration", spec.get("name"), list_recalibrations())]
    known = _options(module)
    for option in options:
        if option not in known:
            raise ValueError(
                f"Module {spec['name']!r} has no option {option!r}; it has {known}. "
                f"Received: recalibration={dict(spec)!r}{nearest(option, known)}"
            )
    return module(**{"name": name, "data_format": data_format, **options})


def _options(module: type[Recalibration]) -> list[str]:
    parameters = inspect.signature(module.__init__).parameters
    return [p for p in parameters if p not in ("self", "kwargs")] + ["dtype", "trainable"]


def _from_callable(make: Callable[..., Any], name: str | None, data_format: str | None):
    is_module = inspect.isclass(make) and issubclass(make, Recalibration)
    layer = make(name=name, **({"data_format": data_format} if is_module else {}))
    if not isinstance(layer, keras.layers.Layer):
        raise ValueError(
            "`recalibration` must return a keras.layers.Layer when it is a callable. "
            f"Received: {make!r}, which returned {layer!r}"
        )
    return layer
