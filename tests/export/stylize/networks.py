"""Small stylization networks with random weights, and what they paint."""

import keras
import numpy as np
from keras import layers

from srm_keras.layers import recalibration
from srm_keras.layers.instance_norm import InstanceNormalization
from srm_keras.layers.reflection import ReflectionPadding2D
from srm_keras.models.stylization import CropToMatch
from tests.support.weights import randomize


def small_net(kind):
    """A strided convolution, a normalization or a module, and the way back to RGB."""
    x = image = keras.Input((None, None, 3), name="image")
    x = ReflectionPadding2D(1)(x)
    x = layers.Conv2D(4, 3, strides=2, name="conv")(x)
    if kind == "instance":
        x = InstanceNormalization(name="norm")(x)
    else:
        x = layers.BatchNormalization(name="norm")(x)
        x = x if kind == "batch" else recalibration(kind, name="recalibration")(x)
    x = layers.UpSampling2D(2)(layers.ReLU()(x))
    x = layers.Conv2D(3, 3, name="output_conv")(ReflectionPadding2D(1)(x))
    return visible(keras.Model(image, CropToMatch()([x, image])))


def one_convolution(padding="same"):
    """The smallest network that paints."""
    image = keras.Input((None, None, 3))
    return visible(
        keras.Model(image, layers.Conv2D(3, 3, padding=padding, name="output_conv")(image))
    )


def visible(model):
    """The model with random weights and pictures that are neither black nor white."""
    randomize(model)
    kernel, bias = model.get_layer("output_conv").get_weights()
    painted = keras.ops.convert_to_numpy(model(noise(32, 32)[None].astype("float32")))
    scale = 50.0 / painted.std()
    offset = 128 + scale * (bias - painted.mean((0, 1, 2)))
    model.get_layer("output_conv").set_weights([kernel * scale, offset])
    return model


def noise(height, width, seed=0):
    """A picture of which every pixel matters."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), "uint8")


class Inverter:
    """Stands for a `Stylizer`: paints negatives, and counts them."""

    def __init__(self):
        self.painted = 0

    def __call__(self, image):
        if len(image) < 4:
            raise RuntimeError("too small\nfor this network")
        self.painted += 1
        return 255 - image
