"""Functional models: what is one, its inputs, and its layers made anew."""

import functools
import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import keras

from srm_keras.layers.dropping import Dropout
from srm_keras.layers.state import copy_state, copy_vocabulary


@functools.cache
def functional_class() -> type[keras.Model]:
    """The class that ``keras.Model(inputs, outputs)`` returns, which has no public name."""
    inputs = keras.Input((1,), name="input")
    return type(keras.Model(inputs, inputs, name="functional"))


def is_functional(layer: Any) -> bool:
    """Whether this is a model that is nothing but its graph: functional, or a built Sequential."""
    if not isinstance(layer, keras.Model) or not getattr(layer, "inputs", None):
        return False
    return isinstance(layer, keras.Sequential) or type(layer).call is functional_class().call


def inputs_of(model: keras.Model) -> Any:
    """What a functional or built Sequential model takes, symbolic and in its own structure."""
    return model.inputs[0] if isinstance(model, keras.Sequential) else model.input


def data_format_of(model: keras.Model) -> str:
    """Return the data format of the first layer that has one, else Keras' global setting."""
    formats = (getattr(layer, "data_format", None) for layer in all_layers(model))
    return next(filter(None, formats), keras.config.image_data_format())


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


def all_layers(model: keras.Model) -> Iterator[keras.layers.Layer]:
    """The layers of a functional model, those of inner models in the place of these."""
    for layer in model.layers:
        if is_functional(layer):
            yield from all_layers(layer)
        else:
            yield layer


def twin(model: keras.Model, name: str | None = None) -> keras.Model:
    """A plain functional model of the same layers: not compiled, and of no other class."""
    name = name or model.name
    if isinstance(model, keras.Sequential):
        return keras.Model(model.inputs[0], model.outputs[0], name=name)
    return keras.Model(model.input, model.output, name=name)


def new_inputs(model: keras.Model, dtypes: Mapping[str, str] | None = None) -> Any:
    """Inputs like those of ``model``, in the same structure, with the names of its input layers.

    ``dtypes`` has another dtype for some of theirs.
    """
    inputs = [layer for layer in model.layers if isinstance(layer, keras.layers.InputLayer)]
    names = {id(layer.output): layer.name for layer in inputs}
    return keras.tree.map_structure(
        lambda x: keras.Input(
            batch_shape=x.shape, dtype=(dtypes or {}).get(x.dtype, x.dtype), name=names[id(x)]
        ),
        model.input,
    )


def remade(layer: Any, name: str, **changes: Any) -> Any:
    """A layer or operation of the same configuration but for ``changes``, under that name.

    Raises:
        ValueError: Its class does not say how.
    """
    try:
        copy = type(layer).from_config({**layer.get_config(), "name": name, **changes})
    except (NotImplementedError, TypeError) as error:
        raise no_configuration(layer.name, error) from None
    copy_vocabulary(layer, copy)
    return copy


def copied(
    model: keras.Model,
    layer: Callable[[Any], Any] | None = None,
    call: Callable[..., Any] | None = None,
    inputs: Any = None,
    state: Callable[[Any, Any], None] = copy_state,
    name: str | None = None,
) -> keras.Model:
    """Return a copy of a functional model: the one way in which networks are copied.

    Layers, names, state, dtype policies and ``trainable`` are those of ``model``, and so are the
    models inside of it; a layer that is called several times still is. The result is a plain
    functional model, not compiled.

    Args:
        model: A functional or a built Sequential model. It is not changed, and shares no weights
            with the result.
        layer: Makes the copy of a layer, operation or inner model; by default ``remade``, and of a
            model its copy. What returns its argument shares it.
        call: Calls a copy, ``call(copy, *args, **kwargs)``, or does something else in its place.
        inputs: New ones, in the structure of the model's; by default ``new_inputs``.
        state: Gives a copied layer, once it is built, what its original has learned.
        name: Of the result; by default that of ``model``.

    Raises:
        ValueError: A layer cannot be made anew from its configuration, or its copy cannot take over
            what it learned.
    """
    pairs: list[tuple[Any, Any]] = []

    def make(source: Any) -> Any:
        copy = layer(source) if layer else _same(source)
        if copy is not source and not is_functional(source):
            pairs.append((source, copy))
        return copy

    source = twin(model, name)
    inputs = new_inputs(source) if inputs is None else inputs
    result = keras.models.clone_model(source, inputs, make, call or _called)
    built = {id(one) for one in result.layers}
    for original, copy in pairs:
        if id(copy) in built:
            state(original, copy)
    return result


def _same(layer: Any) -> Any:
    return copied(layer) if is_functional(layer) else remade(layer, layer.name)


def _called(layer: Any, *args: Any, **kwargs: Any) -> Any:
    return layer(*args, **kwargs)


def first_input(layer: Any, args: tuple, kwargs: Mapping[str, Any]) -> Any:
    """What a call of ``layer`` with these arguments gives it first, by position or by name."""
    bound = inspect.signature(layer.call).bind(*args, **kwargs).arguments
    return next(iter(bound.values()))


def no_configuration(name: str, error: Exception) -> ValueError:
    """The error to raise where a layer cannot be made from its configuration."""
    paragraph = " ".join(str(error).strip().split("\n\n")[0].split())
    return ValueError(
        "`model` must have layers that can be made from their configuration (get_config, "
        f"from_config). Received: {name!r}, where Keras says: {paragraph}"
    )


Call = Callable[..., Any]


def rebuild(
    model: keras.Model, changes: dict[int, Callable[[Call], Call]], name: str | None = None
) -> keras.Model:
    """Return a copy of ``model`` with other calls at chosen layers.

    Layers, names, weights, dtype policies and ``trainable`` are those of ``model``, and so are the
    models inside of it; a layer that is called several times still is. Layers that nothing depends
    on any more are left out.

    Args:
        model: A functional or a built Sequential model. It is not changed, and shares no weights
            with the result.
        changes: For the ``id`` of a layer of ``model`` a function that takes its copy and returns
            what to call in its place.
        name: Of the result; by default that of ``model``.

    Raises:
        ValueError: A layer cannot be made anew from its configuration.
    """
    return _Copier(changes).copy(model, name)


def without_dropping(model: keras.Model) -> keras.Model:
    """``model`` without ``Dropout`` and ``StochasticDepth`` of this package: for inference alone.

    A copy with the same weights, or ``model`` itself where it has neither.
    """
    dropping = [id(layer) for layer in all_layers(model) if isinstance(layer, Dropout)]
    return rebuild(model, dict.fromkeys(dropping, lambda _: _passed)) if dropping else model


def _passed(x: Any, **kwargs: Any) -> Any:
    del kwargs
    return x


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
