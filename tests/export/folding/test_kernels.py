"""Every layer that can take batch norm in, before or behind it, against the unfolded model."""

import keras
import numpy as np
import pytest
from keras import layers

from srm_keras.export import fold, folding_plan
from srm_keras.layers import StochasticDepth
from tests.support.weights import feature_map, randomize

BEFORE = {
    "conv1d": ((9, 4), lambda **o: layers.Conv1D(6, 3, groups=2, **o)),
    "conv2d": ((7, 8, 4), lambda **o: layers.Conv2D(6, 3, groups=2, dilation_rate=2, **o)),
    "conv3d": ((4, 5, 6, 3), lambda **o: layers.Conv3D(5, 3, padding="same", **o)),
    "conv1d_transpose": ((9, 4), lambda **o: layers.Conv1DTranspose(5, 3, strides=2, **o)),
    "conv2d_transpose": (
        (5, 6, 4),
        lambda **o: layers.Conv2DTranspose(5, 3, strides=2, padding="same", **o),
    ),
    "conv3d_transpose": ((3, 3, 3, 2), lambda **o: layers.Conv3DTranspose(5, 2, **o)),
    "depthwise1d": ((9, 4), lambda **o: layers.DepthwiseConv1D(3, depth_multiplier=2, **o)),
    "depthwise2d": ((7, 8, 4), lambda **o: layers.DepthwiseConv2D(3, padding="same", **o)),
    "separable1d": ((9, 4), lambda **o: layers.SeparableConv1D(6, 3, **o)),
    "separable2d": ((7, 8, 4), lambda **o: layers.SeparableConv2D(6, 3, depth_multiplier=2, **o)),
    "dense": ((4,), lambda **o: layers.Dense(6, **o)),
    "dense_on_maps": ((5, 5, 4), lambda **o: layers.Dense(6, **o)),
}
BEHIND = {
    "conv1d": ((9, 4), lambda **o: layers.Conv1D(6, 3, strides=2, **o)),
    "conv2d": ((7, 8, 4), lambda **o: layers.Conv2D(6, 3, activation="relu", **o)),
    "conv2d_1x1_same": ((7, 8, 4), lambda **o: layers.Conv2D(6, 1, padding="same", **o)),
    "conv3d": ((4, 5, 6, 3), lambda **o: layers.Conv3D(5, 2, **o)),
    "depthwise1d": ((9, 4), lambda **o: layers.DepthwiseConv1D(3, depth_multiplier=2, **o)),
    "depthwise2d": ((7, 8, 4), lambda **o: layers.DepthwiseConv2D(3, depth_multiplier=3, **o)),
    "dense": ((4,), lambda **o: layers.Dense(6, activation="softmax", **o)),
    "dense_on_maps": ((5, 5, 4), lambda **o: layers.Dense(6, **o)),
}


def bn(name="bn", **options):
    return layers.BatchNormalization(name=name, **options)


def model_of(shape, *parts):
    model = keras.Sequential([keras.Input(shape), *parts])
    randomize(model, seed=1)
    return model


def assert_folds(model):
    folded = fold(model)
    assert not [v for v in folded.variables if v.name == "moving_mean"]
    assert_same(model, folded)


def assert_same(model, folded):
    x = feature_map((3, *model.input_shape[1:]), seed=5)
    expected = np.asarray(model(x, training=False), "float64")
    actual = np.asarray(folded(x, training=False), "float64")
    assert np.abs(actual - expected).max() <= 1e-5 * np.abs(expected).max()


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("name", BEFORE)
def test_the_layer_before_takes_batch_norm_in(name, bias):
    shape, make = BEFORE[name]
    model = model_of(shape, make(use_bias=bias, name="layer"), bn())
    assert folding_plan(model).merged == {"bn": "layer"}
    assert_folds(model)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("name", BEHIND)
def test_the_layer_behind_takes_batch_norm_in(name, bias):
    shape, make = BEHIND[name]
    model = model_of(shape, layers.ReLU(), bn(), make(use_bias=bias, name="layer"))
    assert folding_plan(model).merged_ahead == {"bn": "layer"}
    assert_folds(model)


def test_one_layer_takes_in_one_on_either_side():
    model = model_of((6, 6, 3), bn("ahead"), layers.Conv2D(4, 3, name="conv"), bn("behind"))
    plan = folding_plan(model)
    assert (plan.merged, plan.merged_ahead) == ({"behind": "conv"}, {"ahead": "conv"})
    assert_folds(model)


def test_dropout_between_does_not_matter():
    parts = [layers.Dense(6, name="one"), layers.Dropout(0.3), bn("a"), layers.ReLU()]
    parts += [bn("b"), layers.GaussianNoise(1.0), layers.Dropout(0.3), StochasticDepth(0.3)]
    parts += [layers.Dense(2, name="two")]
    model = model_of((5,), *parts)
    plan = folding_plan(model)
    assert (plan.merged, plan.merged_ahead) == ({"a": "one"}, {"b": "two"})
    assert_folds(model)
    kept = [layer.name for layer in fold(model).layers if "drop" in layer.name]
    assert kept == [parts[1].name, parts[6].name]  # ours is gone


KEPT = {
    "pads with zeros": [layers.Conv2D(4, 3, padding="same", name="next")],
    "has groups": [layers.Conv2D(4, 1, groups=2, name="next")],
    "nor can 'next' behind it": [layers.Conv2DTranspose(4, 3, name="next")],
    "nor can 'pad' behind it": [layers.ZeroPadding2D(name="pad"), layers.Conv2D(4, 3)],
}


@pytest.mark.parametrize("reason", KEPT)
def test_what_would_not_be_exact_stays(reason):
    model = model_of((6, 6, 4), layers.ReLU(name="relu"), bn(), *KEPT[reason])
    plan = folding_plan(model)
    assert plan.kept["bn"].startswith("its input 'relu' is no layer that can take it in; ")
    assert reason in plan.kept["bn"]
    assert_same(model, fold(model))


def test_dropout_in_training_mode_is_no_identity():
    inputs = keras.Input((4,))
    x = layers.Dropout(0.5, name="dropout")(layers.Dense(3)(inputs), training=True)
    plan = folding_plan(keras.Model(inputs, bn()(x)))
    assert plan.kept == {"bn": "its input 'dropout' is no layer that can take it in"}


def test_a_batch_norm_that_is_an_output_too_stays():
    inputs = keras.Input((4,))
    x = bn()(inputs)
    model = keras.Model(inputs, [x, layers.Dense(3)(x)])
    randomize(model)
    assert list(folding_plan(model).kept) == ["bn"]
    x = feature_map((3, 4))
    for expected, actual in zip(model(x), fold(model)(x), strict=True):
        np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-6)


def test_a_layer_behind_that_is_called_twice_stays():
    inputs, other = keras.Input((4,)), keras.Input((4,))
    shared = layers.Dense(3, name="shared")
    model = keras.Model([inputs, other], [shared(bn()(inputs)), shared(other)])
    assert "'shared' behind it is called more than once" in folding_plan(model).kept["bn"]


def test_lora_weights_keep_batch_norm():
    dense = layers.Dense(6, name="dense")
    model = model_of((4,), dense, bn())
    dense.enable_lora(2)
    dense.lora_kernel_b.assign(np.ones((2, 6)))
    assert folding_plan(model).kept == {"bn": "'dense' is quantized or has LoRA weights"}
    assert_same(model, fold(model))
