"""New modules for places in a model, and which layers of a model are such."""

from dataclasses import dataclass
from typing import Any

import keras

from srm_keras.layers import Recalibration, Spec, recalibration
from srm_keras.layers.dtype_policy import dtype_policy
from srm_keras.models.surgery.neutral import check_neutral, neutral_scale, start_neutral

SUFFIX = "_recalibration"
SCALE_SUFFIX = "_scale"


@dataclass(frozen=True)
class Module:
    """A new recalibration layer and, where it starts neutral, what makes up for its gates.

    Attributes:
        layer: called on the feature map; built by the first call.
        scale: called on what comes out of it, or None.
    """

    layer: keras.layers.Layer
    scale: keras.layers.Layer | None

    def __call__(self, inputs: Any) -> Any:
        outputs = self.layer(inputs)
        return self.scale(outputs) if self.scale is not None else outputs

    def start(self) -> None:
        """Set the weights that a neutral start asks for, once the layer is built."""
        if self.scale is not None:
            start_neutral(self.layer)


def new_module(
    spec: Spec, name: str, like: Any, data_format: str, neutral: bool = False
) -> Module | None:
    """Return a module of the dtype policy of the layer ``like``, or None where ``spec`` is None.

    Raises:
        ValueError: the spec is none, or ``neutral`` is asked of a module that cannot be.
    """
    # Operations, such as that behind x + y, have none.
    with dtype_policy(getattr(like, "dtype_policy", keras.config.dtype_policy())):
        layer = recalibration(spec, name=name, data_format=data_format)
        if layer is None:
            return None
        if not neutral:
            return Module(layer, None)
        check_neutral(layer)
        scale = keras.layers.Rescaling(neutral_scale(layer), name=f"{layer.name}{SCALE_SUFFIX}")
    return Module(layer, scale)


def specs_of_places(spec: Any, names: list[str]) -> list[Spec]:
    """Return a spec for each of the named places: the same for all, or a list's entries.

    Raises:
        ValueError: the list has another length.
    """
    if not isinstance(spec, list | tuple):
        return [spec] * len(names)
    if len(spec) != len(names):
        raise ValueError(
            f"`spec` must have an entry for each of the {len(names)} places where it is a list: "
            f"{', '.join(names)}. Received {len(spec)}: {spec!r}"
        )
    return list(spec)


def is_module(layer: Any) -> bool:
    """Whether this is a ``Recalibration``, or another layer that is called ``…_recalibration``."""
    return isinstance(layer, Recalibration) or (
        isinstance(layer, keras.layers.Layer) and layer.name.endswith(SUFFIX)
    )


def is_scale(layer: Any) -> bool:
    """Whether this is what makes up for the gates of a module that started neutral."""
    ending = f"{SUFFIX}{SCALE_SUFFIX}"
    return isinstance(layer, keras.layers.Rescaling) and layer.name.endswith(ending)
