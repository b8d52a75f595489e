"""Grad-CAM once more: a small residual classifier in NumPy, its gradients by finite differences."""

import keras
import numpy as np
from keras import layers

from tests.support.weights import randomize

SHAPE = (5, 4, 3)
CLASSES = 3
STEP = 1e-5


def classifier(ending: str = "activation", dtype: str = "float32") -> keras.Model:
    """1×1 convolutions on a branch and a shortcut, global average pool, two dense layers.

    ``ending``: how the probabilities come about; ``"none"`` for a network that gives logits.
    """
    options = {"dtype": dtype, "data_format": "channels_last"}
    x = keras.Input(SHAPE, name="image")
    branch = layers.Conv2D(4, 1, name="branch", **options)(x)
    skip = layers.Conv2D(4, 1, name="skip", **options)(x)
    curved = layers.Activation("tanh", name="curved", dtype=dtype)(branch)
    y = layers.Add(name="add", dtype=dtype)([skip, curved])
    y = layers.ReLU(name="out", dtype=dtype)(y)
    y = layers.GlobalAveragePooling2D(name="pool", **options)(y)
    y = layers.Dense(6, "tanh", name="hidden", dtype=dtype)(y)
    inside = ending if ending in ("softmax", "sigmoid") else None
    y = layers.Dense(CLASSES, inside, name="scores", dtype=dtype)(y)
    if ending == "activation":
        y = layers.Activation("softmax", name="probabilities", dtype="float32")(y)
    elif ending == "layer":
        y = layers.Softmax(name="probabilities", dtype="float32")(y)
    model = keras.Model(x, y, name="small")
    randomize(model)
    return model


def images(count: int = 4) -> np.ndarray:
    return np.random.default_rng(7).normal(size=(count, *SHAPE)).astype("float32")


def reference_maps(
    model: keras.Model, x: np.ndarray, classes, layer: str, method: str
) -> np.ndarray:
    """Maps of ``classifier`` (N, H, W), float64, divided by their maxima."""
    features, head = _parts(model, x.astype("float64"), layer)
    maps = []
    for index, number in enumerate(classes):
        gradient = _differences(lambda a, i=index, c=number: head(a, i)[c], features[index])
        score = head(features[index], index)[number]
        heat = {"grad_cam": _grad_cam, "grad_cam++": _plus_plus}[method](
            features[index], gradient, score
        )
        maps.append(heat / heat.max() if heat.max() > 0 else heat)
    return np.stack(maps)


def reference_logits(model: keras.Model, x: np.ndarray) -> np.ndarray:
    features, head = _parts(model, x.astype("float64"), "out")
    return np.stack([head(each, index) for index, each in enumerate(features)])


def _parts(model, x, layer):
    """The layer's features of all images, and logits of one image as a function of its features."""

    def weights(name):
        kernel, bias = model.get_layer(name).get_weights()
        return kernel.reshape(kernel.shape[-2:]).astype("float64"), bias.astype("float64")

    def linear(values, name):
        kernel, bias = weights(name)
        return values @ kernel + bias

    skip, branch = linear(x, "skip"), linear(x, "branch")

    def from_out(out, _):
        return linear(np.tanh(linear(out.mean(axis=(0, 1)), "hidden")), "scores")

    def out_of(features, index):
        return np.maximum(skip[index] + np.tanh(features), 0)

    if layer == "out":
        return out_of(branch, slice(None)), from_out
    assert layer == "branch"
    return branch, lambda features, index: from_out(out_of(features, index), index)


def _differences(function, x):
    gradient = np.empty_like(x)
    for place in np.ndindex(x.shape):
        step = np.zeros_like(x)
        step[place] = STEP
        gradient[place] = (function(x + step) - function(x - step)) / (2 * STEP)
    return gradient


def _grad_cam(features, gradient, score):
    heat = np.zeros(features.shape[:2])
    for k in range(features.shape[-1]):
        heat += gradient[..., k].mean() * features[..., k]
    return np.maximum(heat, 0)


def _plus_plus(features, gradient, score):
    """With Y = exp(S), its derivatives written out (Chattopadhay et al. 2018, eqs. 5 and 10)."""
    y = np.exp(score)
    heat = np.zeros(features.shape[:2])
    for k in range(features.shape[-1]):
        first, second, third = (y * gradient[..., k] ** power for power in (1, 2, 3))
        bottom = 2 * second + features[..., k].sum() * third
        alpha = np.where(bottom == 0, 0, second / np.where(bottom == 0, 1, bottom))
        heat += (alpha * np.maximum(first, 0)).sum() * features[..., k]
    return np.maximum(heat, 0)
