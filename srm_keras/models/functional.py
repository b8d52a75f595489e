"""Functional models: what is one, its inputs, and its layers made anew."""

import functools
from typing import Any

import keras


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


def twin(model: keras.Model, name: str | None = None) -> keras.Model:
    """A plain functional model of the same layers: not compiled, and of no other class."""
    name = name or model.name
    if isinstance(model, keras.Sequential):
        return keras.Model(model.inputs[0], model.outputs[0], name=name)
    return keras.Model(model.input, model.output, name=name)


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


def no_configuration(name: str, error: Exception) -> ValueError:
    """The error to raise where a layer cannot be made from its configuration."""
    paragraph = " ".join(str(error).strip().split("\n\n")[0].split())
    return ValueError(
        "`model` must have layers that can be made from their configuration (get_config, "
        f"from_config). Received: {name!r}, where Keras says: {paragraph}"
    )
