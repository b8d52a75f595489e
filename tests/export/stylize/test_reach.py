"""Reach, against which pixels of the output move when one of the input does."""

import keras
import numpy as np
import pytest
from keras import layers

from srm_keras.export.stylize.reach import reach
from srm_keras.layers.pad_to_multiple import PadToMultiple
from srm_keras.layers.reflection_padding import ReflectionPadding2D
from srm_keras.models.cropping import CropToMatch
from srm_keras.models.stylization import StylizationNet

SIDE = 48


def network(*body):
    x = image = keras.Input((None, None, 3), name="image")
    for layer in body:
        x = layer(x)
    return keras.Model(image, x)


def positive(model):
    """The model with weights that let no influence vanish."""
    for weight in model.trainable_variables:
        weight.assign(np.full(weight.shape, 0.5, "float32"))
    return model


def measured_margin(model, step):
    """How far away a changed pixel is seen, from every place of the grid, on either axis."""
    distances = [0]
    base = np.ones((1, SIDE, SIDE, 3), "float32")
    for place in range(SIDE // 2, SIDE // 2 + step):
        for axis in (1, 2):
            changed = base.copy()
            changed[(slice(None), *([slice(None)] * (axis - 1)), place)] = 2.0
            moved = np.abs(np.asarray(model(changed)) - np.asarray(model(base))) > 1e-6
            seen = np.flatnonzero(moved.any(axis=tuple({0, 1, 2, 3} - {axis})))
            distances += [place - seen.min(), seen.max() - place]
    return max(distances)


def conv(kernel, **options):
    return layers.Conv2D(3, kernel, **{"padding": "same", **options})


NETWORKS = {
    "one pixel": lambda: [conv(1), layers.ReLU()],
    "same": lambda: [conv(5)],
    "even kernel": lambda: [conv(4)],
    "dilated": lambda: [conv(3, dilation_rate=3)],
    "reflected": lambda: [ReflectionPadding2D(4), conv(9, padding="valid")],
    "not square": lambda: [conv((3, 7))],
    "strided": lambda: [
        ReflectionPadding2D(1),
        conv(3, padding="valid", strides=2),
        conv(3),
        layers.UpSampling2D(2),
        conv(3),
    ],
    "pooled": lambda: [layers.MaxPooling2D(2), conv(3), layers.UpSampling2D(2)],
    "transposed": lambda: [
        layers.AveragePooling2D(2),
        layers.Conv2DTranspose(3, 4, strides=2, padding="same"),
    ],
    "cropped": lambda: [layers.ZeroPadding2D(3), conv(3), layers.Cropping2D(3)],
}


@pytest.mark.parametrize("body", NETWORKS.values(), ids=NETWORKS)
def test_the_margin_is_what_is_measured_up_to_whole_steps(body):
    model = positive(network(*body()))
    told = reach(model)
    measured = measured_margin(model, told.step)
    assert measured <= told.margin <= measured + 3 * told.step


@pytest.mark.parametrize(("blocks", "margin"), [(1, 28), (5, 60)])
def test_the_stylization_network_looks_that_far(blocks, margin):
    # 4 (9×9) + 1 + 2 (strided) + blocks·2·4 + 2 + 1 (enlarged) + 4 (9×9), and what enlarging adds
    model = StylizationNet("batch", filters=2, blocks=blocks)
    assert reach(model).step == 4
    assert reach(model).margin == margin


def test_branches_have_the_reach_of_the_longest():
    image = keras.Input((None, None, 3))
    long = conv(5)(conv(3)(image))
    assert reach(keras.Model(image, long + conv(3)(image))).margin == 3


def test_padding_to_a_multiple_mirrors_so_many_pixels():
    image = keras.Input((None, None, 3))
    outputs = CropToMatch()([conv(3)(PadToMultiple(8)(image)), image])
    assert reach(keras.Model(image, outputs)).margin >= 8


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ([layers.Lambda(lambda x: x, name="odd")], "reach is not known. Received: 'odd', a Lambda"),
        ([conv(3, strides=2, name="down"), layers.UpSampling2D(2)], "padding='same'.*'down'"),
        ([layers.MaxPooling2D(2)], "an image of the size of its input"),
    ],
)
def test_what_cannot_be_told_is_refused(body, message):
    with pytest.raises(ValueError, match=message):
        reach(network(*body))


def test_maps_of_two_sizes_are_not_joined():
    image = keras.Input((16, 16, 3))
    outputs = layers.Add(name="join")([image, layers.AveragePooling2D(1, strides=1)(image)])
    assert reach(keras.Model(image, outputs)).margin == 0
    small = layers.GlobalAveragePooling2D(keepdims=True, name="mean")(image)
    with pytest.raises(ValueError, match="'mean', a GlobalAveragePooling2D"):
        reach(keras.Model(image, layers.Multiply()([image, small])))
