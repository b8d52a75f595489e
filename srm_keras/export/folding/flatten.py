"""A model and the models inside of it as one functional graph."""

from collections.abc import Iterator
from typing import Any

import keras

from srm_keras.export.folding.graph import no_configuration


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
        return _twin(model)
    copier = _Copier(model)
    flat = copier.without_borders(copier.copy(model))
    for source, copy in copier.pairs:
        copy_weights(source, copy)
    return flat


def is_functional(layer: Any) -> bool:
    """Whether this is a model that is nothing but its graph: functional, or a built Sequential."""
    if not isinstance(layer, keras.Model) or not getattr(layer, "inputs", None):
        return False
    return isinstance(layer, keras.Sequential) or type(layer).call is _FUNCTIONAL_CALL


def check_functional(model: Any) -> None:
    """Raise ``ValueError`` unless ``model`` is functional or a built Sequential."""
    if is_functional(model):
        return
    if not isinstance(model, keras.Model):
        raise ValueError(
            f"`model` must be a functional or Sequential keras.Model. Received: model={model!r}"
        )
    if isinstance(model, keras.Sequential):
        raise ValueError(
            "`model` must know the shape of its input: give the Sequential a keras.Input first, or "
            f"build it. Received: {model.name!r}, which is not built"
        )
    raise ValueError(
        "`model` must be a functional or Sequential keras.Model, whose layers and their "
        f"connections can be read. Received: {model.name!r}, a {type(model).__name__} with a "
        "`call` of its own"
    )


def new_inputs(model: keras.Model) -> Any:
    """Inputs like those of ``model``, in the same structure, with the names of its input layers."""
    inputs = [layer for layer in model.layers if isinstance(layer, keras.layers.InputLayer)]
    names = {id(layer.output): layer.name for layer in inputs}
    return keras.tree.map_structure(
        lambda x: keras.Input(batch_shape=x.shape, dtype=x.dtype, name=names[id(x)]), model.input
    )


def remade(layer: Any, name: str, **changes: Any) -> Any:
    """A layer or operation of the same configuration but for ``changes``, under that name.

    Raises:
        ValueError: its class does not say how.
    """
    try:
        return type(layer).from_config({**layer.get_config(), "name": name, **changes})
    except (NotImplementedError, TypeError) as error:
        raise no_configuration(layer.name, error) from None


def copy_weights(source: keras.layers.Layer, copy: keras.layers.Layer) -> None:
    """Give a layer made from the configuration of ``source`` its weights."""
    copy.set_weights(source.get_weights())
    if isinstance(copy, keras.layers.Normalization):
        copy.finalize_state()  # It computes with what it derives from its weights.


def _call_of_functional_models():
    inputs = keras.Input((1,))
    return type(keras.Model(inputs, inputs)).call


_FUNCTIONAL_CALL = _call_of_functional_models()


def _twin(model: keras.Model) -> keras.Model:
    """A plain functional model of the same layers: not compiled, and of no other class."""
    if isinstance(model, keras.Sequential):
        return keras.Model(model.inputs[0], model.outputs[0], name=model.name)
    return keras.Model(model.input, model.output, name=model.name)


class _Copier:
    """Copies a model layer by layer, and the models inside of it into the same graph."""

    def __init__(self, model: keras.Model):
        self.taken = {operation.name for operation in _own_operations(model)}
        self.copies: dict[int, Any] = {}
        self.pairs: list[tuple[keras.layers.Layer, keras.layers.Layer]] = []
        self.outer = model

    def copy(self, model: keras.Model) -> keras.Model:
        twin = _twin(model)
        return keras.models.clone_model(
            twin, new_inputs(twin), lambda layer: self._layer(layer, model), self._call
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
    return [operation for operation in _twin(model).operations if not is_functional(operation)]


def _candidates(name: str, model: str) -> Iterator[str]:
    yield name
    yield f"{model}_{name}"
    number = 1
    while True:
        yield f"{model}_{name}_{number}"
        number += 1
