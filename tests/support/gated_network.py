"""A tiny network of two blocks with gates, and its gates read layer by layer."""

import keras
import numpy as np

from srm_keras.layers import recalibration
from tests.support.weights import randomize

LAYERS = ("conv2_1_recalibration", "conv2_2_recalibration")


def gated_network(spec, data_format: str = "channels_last", size: int = 8) -> keras.Model:
    """Random weights; blocks of 6 and 5 channels, then a mean over the map."""
    inputs = keras.Input((size, size, 3))
    x = keras.layers.Conv2D(6, 3, name="conv")(inputs)
    if data_format == "channels_first":
        x = keras.layers.Permute((3, 1, 2))(x)
    x = recalibration(spec, name=LAYERS[0], data_format=data_format)(x)
    x = keras.layers.Conv2D(5, 1, data_format=data_format, name="second")(x)
    x = recalibration(spec, name=LAYERS[1], data_format=data_format)(x)
    model = keras.Model(inputs, keras.layers.GlobalAveragePooling2D(data_format=data_format)(x))
    randomize(model)
    return model


def images(number: int = 11, size: int = 8) -> np.ndarray:
    """Noise, (number, size, size, 3) float32."""
    return np.random.default_rng(1).normal(size=(number, size, size, 3)).astype("float32")


def gates_of(model: keras.Model, batch: np.ndarray) -> dict[str, np.ndarray]:
    """{layer name: float64 gates}, each layer asked by itself."""
    gates = {}
    for name in LAYERS:
        layer = model.get_layer(name)
        inside = keras.Model(model.input, layer.input)(batch)
        values = keras.ops.convert_to_numpy(layer.gates(inside, training=False))
        gates[name] = np.asarray(values, "float64")
    return gates
