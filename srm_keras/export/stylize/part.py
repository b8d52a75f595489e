"""A model with named inputs as a function on arrays, on any backend."""

from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np


class Part:
    """Inference of a model, made ready once for images of all sizes.

    Args:
        model: a functional model that nobody else compiles.
    """

    def __init__(self, model: keras.Model):
        self.image = image_input(model)
        self._names = input_names(model)
        self._run = _graph(model) if keras.config.backend() == "tensorflow" else _compiled(model)

    def __call__(self, named: Mapping[str, np.ndarray]) -> Any:
        """Return the outputs, NumPy arrays in the structure of the model, for inputs by name."""
        inputs = keras.tree.map_structure(lambda name: named[name], self._names)
        return keras.tree.map_structure(np.asarray, self._run(inputs))


def input_names(model: keras.Model) -> Any:
    """The names of the input layers, in the structure of ``model.input``."""
    inputs = [layer for layer in model.layers if isinstance(layer, keras.layers.InputLayer)]
    names = {id(layer.output): layer.name for layer in inputs}
    return keras.tree.map_structure(lambda x: names[id(x)], model.input)


def image_input(model: keras.Model) -> str:
    """The name of the input that takes the image: of the only one, or "content"."""
    names = keras.tree.flatten(input_names(model))
    return "content" if "content" in names else names[0]


def _graph(model: keras.Model) -> Callable[[Any], Any]:
    """One graph for all sizes: `predict_on_batch` would trace a new one for each."""
    import tensorflow as tf

    signature = keras.tree.map_structure(
        lambda x: tf.TensorSpec(x.shape, x.dtype, name=x.name), model.input
    )
    return tf.function(lambda x: model(x, training=False), input_signature=[signature])


def _compiled(model: keras.Model) -> Callable[[Any], Any]:
    model.compile(jit_compile=keras.config.backend() == "jax")
    return model.predict_on_batch
