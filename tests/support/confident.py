"""Examples that a classifier is confidently wrong about, and what training must make of them."""

import keras
import numpy as np

from srm_keras.training import default_recipe
from srm_keras.training.build import compiled_twin, make_metrics, make_optimizer
from srm_keras.training.inputs import BINARY_CROSSENTROPY, CATEGORICAL_CROSSENTROPY

ENDINGS = ("fused", "activation", "layer", "logits")
"""How a network may come to its scores; all but the last one are softmaxes."""

CASES = [
    *[(ending, "float32", 0.0, CATEGORICAL_CROSSENTROPY) for ending in ENDINGS],
    ("activation", "mixed_float16", 0.0, CATEGORICAL_CROSSENTROPY),
    ("fused", "mixed_float16", 0.2, CATEGORICAL_CROSSENTROPY),
    ("activation", "float32", 0.0, BINARY_CROSSENTROPY),
    ("fused", "mixed_float16", 0.2, BINARY_CROSSENTROPY),
]
"""Of them, the dtype policy, the label smoothing and the loss."""


def classifier(ending: str, dtype: str) -> keras.Model:
    """A network of (N, 1) whose logits are ``[0, 100]·x``."""
    inputs = keras.Input((1,))
    fused = "softmax" if ending == "fused" else None
    x = keras.layers.Dense(2, fused, dtype=dtype, name="head")(inputs)
    if ending == "activation":
        x = keras.layers.Activation("softmax", dtype="float32")(x)
    elif ending == "layer":
        x = keras.layers.Softmax(dtype="float32")(x)
    model = keras.Model(inputs, x)
    model.set_weights([np.array([[0.0, 100.0]]), np.zeros(2)])
    return model


def assert_confident_mistakes_count(ending: str, dtype: str, smoothing: float, loss: str) -> None:
    """Loss and update of logits ``[0, 25]`` and ``[0, 100]`` with label 0, against float64."""
    model = classifier(ending, dtype)
    recipe = default_recipe()
    recipe.label_smoothing, recipe.optimizer.weight_decay = smoothing, 0.0
    recipe.loss = loss
    one_hot = smoothing > 0 or loss == BINARY_CROSSENTROPY
    optimizer = make_optimizer(recipe, model, 1.0)
    learner = compiled_twin(model, recipe, optimizer, make_metrics(one_hot, 2))
    images = np.array([[0.25], [1.0]], "float32")
    labels = np.array([0, 0])
    given = np.eye(2, dtype="float32")[labels] if one_hot else labels
    targets = (1 - smoothing) * np.eye(2)[labels] + smoothing / 2

    logits = images.astype("float64") * [0.0, 100.0]
    exponentials = np.exp(logits)
    probabilities = exponentials / exponentials.sum(axis=1, keepdims=True)
    losses = np.log(exponentials.sum(axis=1)) - (targets * logits).sum(axis=1)
    gradients = probabilities - targets  # [-1, 1] without smoothing
    if loss == BINARY_CROSSENTROPY:
        losses = (np.log1p(exponentials) - targets * logits).mean(axis=1)
        gradients = (exponentials / (1 + exponentials) - targets) / 2
    measured = learner.evaluate(images, given, verbose=0, return_dict=True)
    np.testing.assert_allclose(measured["loss"], losses.mean(), rtol=1e-6)
    scores = keras.ops.convert_to_numpy(model(images))
    np.testing.assert_allclose(
        scores, logits if ending == "logits" else probabilities, rtol=1e-6, atol=1e-6
    )

    learner.fit(images, given, batch_size=2, verbose=0)
    kernel, bias = model.get_weights()
    np.testing.assert_allclose(bias, -gradients.mean(axis=0), atol=1e-3)
    expected = [[0.0, 100.0]] - (images * gradients).mean(axis=0)
    np.testing.assert_allclose(kernel, expected, atol=1e-3)
