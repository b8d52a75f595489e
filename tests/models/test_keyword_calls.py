"""Networks whose layers are called by keyword, against the same networks called by position."""

import keras
import numpy as np
import pytest
from keras import layers

from srm_keras.analysis import complexity, gate_model, grad_cam, pruning_curve
from srm_keras.layers import recalibration
from srm_keras.models import (
    as_backbone,
    insert_recalibration,
    remove_recalibration,
    replace_recalibration,
)
from tests.support.weights import feature_map, randomize

IMAGES = feature_map((6, 8, 8, 3))
LABELS = np.array([0, 1, 2, 0, 1, 2])
TENSORFLOW = keras.backend.backend() == "tensorflow"


def network(by_name, nested=True):
    """Two residual blocks with a module each, and a head that is an inner model if ``nested``."""

    def call(layer, x):
        return layer(inputs=x) if by_name else layer(x)

    def block(x, name, module):
        y = call(layers.Conv2D(4, 3, padding="same", name=f"{name}_conv"), x)
        y = call(layers.BatchNormalization(name=f"{name}_bn"), y)
        y = call(recalibration(module, name=f"{name}_recalibration"), y)
        y = call(layers.Dropout(0.5, name=f"{name}_dropout"), y)
        shortcut = call(layers.Conv2D(4, 1, strides=1, name=f"{name}_shortcut"), x)
        y = call(layers.Add(name=f"{name}_add"), [y, shortcut])
        return call(layers.ReLU(name=f"{name}_out"), y)

    x = image = keras.Input((8, 8, 3), name="image")
    x = block(x, "conv2_1", "srm")
    x = call(layers.MaxPooling2D(name="pool"), x)
    x = block(x, "conv3_1", "se")
    features = keras.Input((4, 4, 4), name="features")
    pooled = call(layers.GlobalAveragePooling2D(name="mean"), features)
    head = keras.Model(
        features, call(layers.BatchNormalization(name="head_bn"), pooled), name="head"
    )
    pooled = call(head, x) if nested else layers.GlobalAveragePooling2D(name="mean")(x)
    scores = call(layers.Dense(3, name="logits"), pooled)
    model = keras.Model(image, call(layers.Activation("softmax", name="scores"), scores))
    randomize(model, seed=3)
    return model


def predicted(model):
    return [np.asarray(x) for x in keras.tree.flatten(model.predict(IMAGES, verbose=0))]


def folded(model):
    from srm_keras.export import fold, folding_plan

    plan = folding_plan(model)
    assert not plan.kept
    assert len(plan.merged) == 2
    assert len(plan.merged_ahead) == 1
    return predicted(fold(model))


def deployed(model):
    from srm_keras.export import deploy

    return predicted(deploy(model, gates=True))


def weighted(model):
    randomize(model, seed=4)
    return predicted(model)


SURGERY = {
    "fold": folded,
    "deploy": deployed,
    "remove": lambda model: predicted(remove_recalibration(model)),
    "replace": lambda model: weighted(replace_recalibration(model, "eca")),
    "insert": lambda model: weighted(
        insert_recalibration(remove_recalibration(model), "srm", ["conv2_1_bn", "conv3_1_bn"])
    ),
    "gates": lambda model: predicted(gate_model(model)),
    "backbone": lambda model: predicted(as_backbone(model)),
    "grad_cam": lambda model: [grad_cam(model, IMAGES, LABELS, "conv2_1_out")],
    "pruning": lambda model: [
        curve.accuracies for curve in pruning_curve(model, [(IMAGES, LABELS)], (0, 0.5)).values()
    ],
    "complexity": lambda model: [complexity(model).total.operations],
}


@pytest.mark.parametrize("operation", SURGERY)
def test_what_is_called_by_keyword_is_treated_as_what_is_called_by_position(operation):
    if operation in ("fold", "deploy") and not TENSORFLOW:
        pytest.skip("export needs TensorFlow")
    nested = operation != "pruning"
    expected, actual = (SURGERY[operation](network(by_name, nested)) for by_name in (False, True))
    assert len(actual) == len(expected) > 0
    for one, other in zip(actual, expected, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)


def gated_by(product):
    """A squeeze-and-excitation block in stock layers, whose product is written by ``product``."""
    image = keras.Input((8, 8, 4), name="image")
    x = layers.Conv2D(4, 3, padding="same", name="conv")(image)
    gates = layers.GlobalAveragePooling2D(keepdims=True)(x)
    gates = layers.Conv2D(4, 1, activation="sigmoid")(gates)
    return keras.Model(image, product(x, gates))


@pytest.mark.parametrize(
    "product",
    [
        lambda x, gates: layers.Multiply()(inputs=[x, gates]),
        lambda x, gates: keras.ops.multiply(x1=x, x2=gates),
        lambda x, gates: keras.ops.multiply(x2=gates, x1=x),
        lambda x, gates: keras.ops.multiply(x2=x, x1=gates),
        lambda x, gates: keras.ops.multiply(gates, x2=x),
    ],
)
def test_a_product_by_keyword_is_replaced_by_a_module_on_its_map(product):
    model = gated_by(product)
    replaced = insert_recalibration(model, "srm", where="existing_se")
    assert [layer.name for layer in replaced.layers][1] == "conv"
    module = replaced.layers[-1]
    x = feature_map((2, 8, 8, 4))
    features = model.get_layer("conv")(x)
    np.testing.assert_allclose(replaced(x), 0.5 * features, atol=1e-6)
    assert type(module).__name__ == "SRM"
