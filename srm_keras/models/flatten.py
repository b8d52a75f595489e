"""A model and the models inside of it as one functional graph."""

from collections.abc import Iterator
from typing import Any

import keras

from srm_keras.models.surgery.functional import (
    check_functional,
    copied,
    is_functional,
    remade,
    twin,
)
from srm_keras.models.surgery.graph import read_graph


def flatten(model: keras.Model) -> keras.Model:
    """Return a functional model that computes what ``model`` computes and contains no other model.

    Layers of an inner model stand in the outer graph under their own names. Where a name is taken,
    by the outer model or by an earlier inner one, that of the inner model goes before it. An inner
    model that is called several times has its layers shared between the calls, as before.

    Args:
        model: A functional or a built Sequential model, which may contain such models at any
            depth. Inner models with a ``call`` of their own are treated as single layers. It is
            not changed.

    Returns:
        A ``keras.Model``. Without inner models it shares the layers of ``model``, else it owns
        copies of them.

    Raises:
        ValueError: The model is not functional, is a Sequential of unknown input shape, or has a
            layer that cannot be made anew from its configuration.
    """
    return flatten_named(model)[0]


def flatten_named(model: keras.Model) -> tuple[keras.Model, dict[str, str]]:
    """``flatten(model)``, and what has become of its layers.

    Returns:
        The model, and for each layer of ``model``, one of an inner model by its path
        (``"inner/layer"``), the name of the layer in the flat model that gives its output; for an
        inner model that of the layer which gives the model's, if it has one output.
    """
    check_functional(model)
    copier = _Copier(model)
    if not any(is_functional(layer) for layer in model.layers):
        return twin(model), {operation.name: operation.name for operation in copier.own(model)}
    flat = copier.without_borders(copier.copy(model))
    return flat, copier.names(model)


class _Copier:
    """Copies a model layer by layer, and the models inside of it into the same graph."""

    def __init__(self, model: keras.Model):
        self.taken = {operation.name for operation in self.own(model)}
        self.copies: dict[int, Any] = {}
        self.outer = model

    @staticmethod
    def own(model: keras.Model) -> list[Any]:
        """All layers and operations of a model that are no models themselves."""
        return [operation for operation in twin(model).operations if not is_functional(operation)]

    def copy(self, model: keras.Model) -> keras.Model:
        return copied(model, lambda layer: self._layer(layer, model), self._call)

    def without_borders(self, flat: keras.Model) -> keras.Model:
        """``flat`` without the conversions of inner models' inputs that change nothing."""
        copies = {id(copy) for copy in self.copies.values()}

        def call(layer, *args, **kwargs):
            outputs = layer(*args, **kwargs)
            if id(layer) not in copies and _same_kind(outputs, *args):
                return args[0]
            return outputs

        return copied(flat, lambda layer: layer, call)

    def names(self, model: keras.Model, path: str = "") -> dict[str, str]:
        """The name in the flat model for each path in ``model``."""
        names = {}
        for operation in twin(model).operations:
            copy = self.copies.get(id(operation))
            if copy is None:  # an input
                continue
            if not is_functional(operation):
                names[f"{path}{operation.name}"] = copy.name
                continue
            inner = self.names(operation, f"{path}{operation.name}/")
            outputs = read_graph(twin(operation)).outputs
            last = f"{path}{operation.name}/{outputs[0][0]}"
            names |= inner
            if len(outputs) == 1 and last in inner:
                names[f"{path}{operation.name}"] = inner[last]
        return names

    def _layer(self, layer: Any, model: keras.Model) -> Any:
        if id(layer) not in self.copies:
            self.copies[id(layer)] = (
                self.copy(layer) if is_functional(layer) else self._renamed(layer, model)
            )
        return self.copies[id(layer)]

    def _renamed(self, layer: Any, model: keras.Model) -> Any:
        name = layer.name if model is self.outer else self._free_name(layer.name, model.name)
        return remade(layer, name)

    def _free_name(self, name: str, model: str) -> str:
        free = next(name for name in _candidates(name, model) if name not in self.taken)
        self.taken.add(free)
        return free

    @staticmethod
    def _call(layer: Any, *args: Any, **kwargs: Any) -> Any:
        # The `call` of a functional model calls its layers one by one: they enter the outer graph.
        return layer.call(*args, **kwargs) if is_functional(layer) else layer(*args, **kwargs)


def _same_kind(one: Any, other: Any = None, *_: Any) -> bool:
    tensors = keras.utils.is_keras_tensor(other)
    return tensors and one.shape == other.shape and one.dtype == other.dtype


def _candidates(name: str, model: str) -> Iterator[str]:
    yield name
    yield f"{model}_{name}"
    number = 1
    while True:
        yield f"{model}_{name}_{number}"
        number += 1
