"""One way to name a module: the recalibration spec."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import keras

from srm_keras.layers.base import Recalibration
from srm_keras.layers.cbam import CBAM
from srm_keras.layers.eca import ECA
from srm_keras.layers.fca import FCA
from srm_keras.layers.gather_excite import GatherExcite
from srm_keras.layers.gct import GCT
from srm_keras.layers.simam import SimAM
from srm_keras.layers.squeeze_excite import SqueezeExcite
from srm_keras.layers.srm import SRM
from srm_keras.support.validation import known_options, one_of

Spec = None | str | Mapping[str, Any] | Callable[..., keras.layers.Layer]

_MODULES: dict[str, type[Recalibration]] = {
    "cbam": CBAM,
    "eca": ECA,
    "fca": FCA,
    "gct": GCT,
    "ge": GatherExcite,
    "se": SqueezeExcite,
    "simam": SimAM,
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


def neutral(spec: Any) -> Any:
    """Return ``spec`` with modules that start neutral: as the identity, where they can.

    Every module gets the gain that makes up for its first gates, and weights so that these are
    exactly ½ (¼ in CBAM) where it has such weights. What a dict says of ``gain`` and ``neutral``
    stays.

    Args:
        spec: What ``recalibration`` takes, or a nested list of that. A layer that is no
            ``Recalibration`` stays as it is.

    Raises:
        ValueError: ``spec`` is not one.

    Example:
        >>> srm_keras.layers.neutral([None, "cbam", {"name": "ge", "params": "theta_minus"}])
        [None, {'name': 'cbam', 'gain': 4.0, 'neutral': True},
         {'name': 'ge', 'gain': 2.0, 'params': 'theta_minus'}]
    """
    if isinstance(spec, list | tuple):
        return [neutral(one) for one in spec]
    if spec is None or spec == "none":
        return spec
    if callable(spec) and not isinstance(spec, keras.layers.Layer):
        return _Neutral(spec)
    module = recalibration(spec, name="module")
    options = {"name": spec} if isinstance(spec, str) else dict(spec)
    return {"name": options["name"], **_neutral_options(module), **options}


def spec_of(layer: keras.layers.Layer) -> dict[str, Any] | None:
    """Return the spec that makes a layer like this one; None where it has no name as a spec.

    Its data format, dtype and whether it is trained are not part of it.
    """
    name = next((name for name, module in _MODULES.items() if type(layer) is module), None)
    if name is None:
        return None
    left_out = ("data_format", "dtype", "trainable")
    options = {key: value for key, value in layer.get_config().items() if key not in left_out}
    return {**options, "name": name}


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


def _neutral_options(module: Any) -> dict[str, Any]:
    start = {"neutral": True} if module.can_start_neutral else {}
    return {"gain": module.neutral_gain, **start}


@dataclass(frozen=True)
class _Neutral:
    """A callable spec whose modules start neutral; a gain other than 1 of theirs stays."""

    make: Callable[..., Any]

    def __call__(self, name: str | None = None, data_format: str | None = None) -> Any:
        layer = recalibration(self.make, name=name, data_format=data_format)
        if not isinstance(layer, Recalibration):
            return layer
        options = _neutral_options(layer)
        if layer.gain != 1:
            options["gain"] = layer.gain
        return type(layer).from_config({**layer.get_config(), **options})


def _from_mapping(spec: Mapping[str, Any], name: str | None, data_format: str | None):
    options = {key: value for key, value in spec.items() if key != "name"}
    module = _MODULES[one_of("recalibration", spec.get("name"), list_recalibrations())]
    known = _options(module)
    known_options(f"The recalibration module {spec['name']!r}", options, known)
    return module(**{"name": name, "data_format": data_format, **options})


def _options(module: type[Recalibration]) -> list[str]:
    makers = [base.__init__ for base in module.__mro__ if issubclass(base, Recalibration)]
    names = dict.fromkeys(name for make in makers for name in inspect.signature(make).parameters)
    return [name for name in names if name not in ("self", "kwargs")] + ["dtype", "trainable"]


def _from_callable(make: Callable[..., Any], name: str | None, data_format: str | None):
    is_module = inspect.isclass(make) and issubclass(make, Recalibration)
    takes_format = is_module or isinstance(make, _Neutral)
    layer = make(name=name, **({"data_format": data_format} if takes_format else {}))
    if not isinstance(layer, keras.layers.Layer):
        raise ValueError(
            "`recalibration` must return a keras.layers.Layer when it is a callable. "
            f"Received: {make!r}, which returned {layer!r}"
        )
    return layer
