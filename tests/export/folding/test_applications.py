"""Folding the networks of keras.applications, alone and as the base of another model."""

import keras
import numpy as np
import pytest
from keras import applications, layers

from srm_keras.export import fold, folding_plan
from srm_keras.layers import SRM

SIDE = 96

# The batch norms that nothing can take in: of pre-activation networks, between an addition or a
# concatenation and a ReLU.
KEPT = {"MobileNetV2": 0, "EfficientNetB0": 0, "Xception": 0, "ResNet50V2": 17, "DenseNet121": 62}


def application(name):
    """With weights near those of a trained network: fresh ones hide errors, wild ones amplify."""
    options = {"include_top": False, "input_shape": (SIDE, SIDE, 3), "pooling": "avg"}
    model = getattr(applications, name)(weights=None, **options)
    rng = np.random.default_rng(0)
    for variable in model.variables:
        if variable.name in ("gamma", "moving_variance"):
            variable.assign(rng.uniform(0.8, 1.2, variable.shape))
        elif variable.name in ("beta", "bias", "moving_mean"):
            variable.assign(rng.normal(0.0, 0.1, variable.shape))
    return model


def relative_error(model, other):
    x = np.random.default_rng(1).uniform(0, 255, (2, SIDE, SIDE, 3)).astype("float32")
    expected = np.asarray(model(x, training=False), "float64")
    return np.abs(np.asarray(other(x, training=False)) - expected).max() / np.abs(expected).max()


def batch_norms(model):
    return {layer.name for layer in model.layers if isinstance(layer, layers.BatchNormalization)}


@pytest.mark.slow
@pytest.mark.parametrize("name", KEPT)
def test_an_application_folds_and_what_stays_has_a_reason(name):
    model = application(name)
    folded, plan = fold(model), folding_plan(model)
    assert relative_error(model, folded) <= 1e-5
    assert batch_norms(folded) == plan.kept.keys()
    assert len(plan.kept) == KEPT[name]
    assert len(plan.kept) + len(plan.merged) == len(batch_norms(model))
    assert all("no layer that can take it in; nor can" in why for why in plan.kept.values())


@pytest.mark.slow
def test_transfer_learning_with_our_layers_folds_as_a_whole():
    inputs = keras.Input((SIDE, SIDE, 3), name="image")
    x = applications.mobilenet_v2.preprocess_input(inputs)
    base = application("MobileNetV2")
    base = keras.Model(base.input, base.layers[-2].output, name="base")
    x = SRM(name="recalibration")(base(x, training=False))
    x = layers.BatchNormalization(name="bn")(layers.GlobalAveragePooling2D()(x))
    model = keras.Model(inputs, layers.Dense(10, name="scores")(layers.Dropout(0.2)(x)))
    folded, plan = fold(model), folding_plan(model)
    assert relative_error(model, folded) <= 1e-5
    assert plan.kept == {}
    assert plan.merged_ahead == {"bn": "scores"}
    assert plan.recalibrations == ("recalibration",)
    assert not [v for v in folded.variables if v.path.endswith("moving_mean")]
