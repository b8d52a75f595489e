"""Recalibration modules taken out of a model, or exchanged for others."""

from collections.abc import Callable
from typing import Any

import keras

from srm_keras.models.residual import NestedSpec
from srm_keras.models.surgery.functional import check_functional, first_input, rebuild
from srm_keras.models.surgery.insertion import (
    is_module,
    is_scale,
    new_module,
    specs_of_places,
)
from srm_keras.models.surgery.places import Place, all_places
from srm_keras.support.validation import boolean


def remove_recalibration(model: keras.Model, name: str | None = None) -> keras.Model:
    """Return a copy of ``model`` without its recalibration modules; all other weights are kept.

    A module is a ``Recalibration``, or another layer that is called ``…_recalibration``. With it
    goes the factor behind it in networks whose modules had no gain yet.

    Args:
        model: A functional or a built Sequential model, with models inside of it or not. It is
            not changed, and shares no weights with the result.
        name: Of the result; by default that of ``model``.

    Raises:
        ValueError: The model is subclassed with a ``call`` of its own, has no module, or has a
            layer that cannot be made anew from its configuration.
    """
    return replace_recalibration(model, None, name=name)


def replace_recalibration(
    model: keras.Model, spec: NestedSpec, neutral: bool = False, name: str | None = None
) -> keras.Model:
    """Return a copy of ``model`` with other recalibration modules in the places of its own.

    The new modules have the names, dtype policies and data formats of the old ones and none of
    their weights; all other weights are kept.

    Args:
        model: As for ``remove_recalibration``.
        spec: As for ``insert_recalibration``; an entry of a list for each module.
        neutral: Whether the result computes, until it is trained, what ``model`` computes without
            modules; see ``insert_recalibration``.
        name: Of the result; by default that of ``model``.

    Raises:
        ValueError: As for ``remove_recalibration``; ``spec`` is a list of another length; or
            ``neutral`` is asked of a module that cannot be.

    Example:
        >>> srm = srm_keras.models.ResNet50(recalibration="srm")
        >>> se = srm_keras.models.replace_recalibration(srm, "se")
    """
    check_functional(model)
    boolean("neutral", neutral)
    places = all_places(model)
    olds = [place for place in places if is_module(place.layer)]
    if not olds:
        raise ValueError(
            f"`model` must contain recalibration modules. Received: {model.name!r}, which has none"
        )
    specs = specs_of_places(spec, [place.path for place in olds])
    news = [_module(one, old, neutral) for one, old in zip(specs, olds, strict=True)]
    changes = {id(place.layer): _instead(None) for place in places if is_scale(place.layer)}
    for old, new in zip(olds, news, strict=True):
        changes[id(old.layer)] = _instead(new)
    return rebuild(model, changes, name)


def _module(spec: Any, old: Place, is_neutral: bool) -> keras.layers.Layer | None:
    data_format = getattr(old.layer, "data_format", old.data_format)
    return new_module(spec, old.layer.name, old.layer, data_format, is_neutral)


def _instead(module: keras.layers.Layer | None) -> Callable[[Any], Any]:
    """What to call for the copy of an old module: the new one, or nothing."""

    def change(layer: Any) -> Any:
        def call(*args: Any, **kwargs: Any) -> Any:
            x = first_input(layer, args, kwargs)
            return x if module is None else module(x)

        return call

    return change
