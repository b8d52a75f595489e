"""A model and the models inside of it as one functional graph."""

from collections.abc import Iterator
from typing import Any

import keras

from srm_keras.models.functional import (
    check_functional,
    copy_weights,
    is_functional,
    new_inputs,
    remade,
    twin,
)


def flatten(model: keras.Model) -> keras.Model:
    """Return a functional model that computes what ``model`` computes and contains no other model.

    Layers of an inner model stand in the outer graph under their own names. Where a name is taken,
    by the outer model or by an earlier inner one, that of the inner model goes before it. An inner
    model that is called several times has its layers shared between the calls, as before.

    Args:
        model: a functional or a built Sequential model, which may contain such models at any
            depth. Inner models with a ``call`` of their own are treated as single layers. It is
            not changed.

    Returns:
        A ``keras.Model``. Without inner models it shares the layers of ``model``, else it owns
        copies of them.

    Raises:
        ValueError: the model is not functional, is a Sequential of unknown input shape, or has a
            layer that cannot be made anew from its configuration.
    """
    check_functional(model)
    if not any(is_functional(layer) for layer in model.layers):
        return twin(model)
    copier = _Copier(model)
    flat = copier.without_borders(copier.copy(model))
    for source, copy in copier.pairs:
        copy_weights(source, copy)
    return flat


class _Copier:
    """Copies a model layer by layer, and the models inside of it into the same graph."""

    def __init__(self, model: keras.Model):
        self.taken = {operation.name for operation in _own_operations(model)}
        self.copies: dict[int, Any] = {}
        self.pairs: list[tuple[keras.layers.Layer, keras.layers.Layer]] = []
        self.outer = model

    def copy(self, model: keras.Model) -> keras.Model:
        source = twin(model)
        return keras.models.clone_model(
            source, new_inputs(source), lambda layer: self._layer(layer, model), self._call
        )

    def without_borders(self, flat: keras.Model) -> keras.Model:
        """``flat`` without the conversions of inner models' inputs that change nothing."""
        copied = {id(copy) for copy in self.copies.values()}

        def call(layer, *args, **kwargs):
            outputs = layer(*args, **kwargs)
            if id(layer) not in copied and _same_kind(outputs, *args):
                return args[0]
            return outputs

        return keras.models.clone_model(flat, new_inputs(flat), lambda layer: layer, call)

    def _layer(self, layer: Any, model: keras.Model) -> Any:
        if id(layer) not in self.copies:
            self.copies[id(layer)] = (
                self.copy(layer) if is_functional(layer) else self._renamed(layer, model)
            )
        return self.copies[id(layer)]

    def _renamed(self, layer: Any, model: keras.Model) -> Any:
        name = layer.name if model is self.outer else self._free_name(layer.name, model.name)
        copy = remade(layer, name)
        if isinstance(layer, keras.layers.Layer):
            self.pairs.append((layer, copy))
        return copy

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


def _own_operations(model: keras.Model) -> list[Any]:
    """All layers and operations of a model that are no models themselves."""
    return [operation for operation in twin(model).operations if not is_functional(operation)]


def _candidates(name: str, model: str) -> Iterator[str]:
    yield name
    yield f"{model}_{name}"
    number = 1
    while True:
        yield f"{model}_{name}_{number}"
        number += 1
