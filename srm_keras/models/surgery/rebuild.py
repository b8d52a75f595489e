"""A functional model made anew, with changes at chosen layers."""

from collections.abc import Callable
from typing import Any

import keras

from srm_keras.models.functional import copied, is_functional, remade

Call = Callable[..., Any]


def rebuild(
    model: keras.Model, changes: dict[int, Callable[[Call], Call]], name: str | None = None
) -> keras.Model:
    """Return a copy of ``model`` with other calls at chosen layers.

    Layers, names, weights, dtype policies and ``trainable`` are those of ``model``, and so are the
    models inside of it; a layer that is called several times still is. Layers that nothing depends
    on any more are left out.

    Args:
        model: a functional or a built Sequential model. It is not changed, and shares no weights
            with the result.
        changes: for the ``id`` of a layer of ``model`` a function that takes its copy and returns
            what to call in its place.
        name: of the result; by default that of ``model``.

    Raises:
        ValueError: a layer cannot be made anew from its configuration.
    """
    return _Copier(changes).copy(model, name)


class _Copier:
    """Copies models layer by layer; a layer that stands in several of them once."""

    def __init__(self, changes: dict[int, Callable[[Call], Call]]):
        self.changes = changes
        self.copies: dict[int, Any] = {}
        self.sources: dict[int, Any] = {}

    def copy(self, model: keras.Model, name: str | None = None) -> keras.Model:
        return copied(model, self._layer, self._call, name=name)

    def _layer(self, layer: Any) -> Any:
        if id(layer) not in self.copies:
            copy = self.copy(layer) if is_functional(layer) else remade(layer, layer.name)
            self.copies[id(layer)] = copy
            self.sources[id(copy)] = layer
        return self.copies[id(layer)]

    def _call(self, copy: Any, *args: Any, **kwargs: Any) -> Any:
        change = self.changes.get(id(self.sources[id(copy)]))
        call = change(copy) if change else copy
        return call(*args, **kwargs)
