"""A residual network so small that its pruned output can be computed by hand."""

import keras
from keras import layers

from srm_keras.layers import recalibration
from srm_keras.layers.conventions import channel_axis
from tests.support.weights import randomize

BLOCKS = ("conv2_1", "conv2_2", "conv3_1")
CLASSES = 5


def residual_network(spec, data_format="channels_last", channels=6, side=6) -> keras.Model:
    """A stem and three blocks (3×3 convolution, batch norm, module; identity shortcuts), logits."""
    axis = channel_axis(data_format)
    shape = (side, side, 3) if data_format == "channels_last" else (3, side, side)
    conv = {"padding": "same", "data_format": data_format, "use_bias": False}
    inputs = keras.Input(shape)
    x = layers.Conv2D(channels, 3, name="stem", **conv)(inputs)
    for block in BLOCKS:
        y = layers.Conv2D(channels, 3, name=f"{block}_conv", **conv)(x)
        y = layers.BatchNormalization(axis=axis, epsilon=1e-5, name=f"{block}_bn")(y)
        y = recalibration(spec, name=f"{block}_recalibration", data_format=data_format)(y)
        x = layers.ReLU(name=f"{block}_out")(layers.Add(name=f"{block}_add")([x, y]))
    x = layers.GlobalAveragePooling2D(data_format=data_format, name="pool")(x)
    model = keras.Model(inputs, layers.Dense(CLASSES, name="logits")(x), name="small")
    randomize(model)
    return model
