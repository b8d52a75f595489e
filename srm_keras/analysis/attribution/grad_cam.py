"""Grad-CAM and Grad-CAM++: where in an image the evidence for a class lies."""

from collections.abc import Sequence

import keras
import numpy as np

from srm_keras.analysis.attribution.classifier import (
    check_classifier,
    check_images,
    feature_map,
    layer_called,
    logits,
)
from srm_keras.analysis.attribution.input_gradient import input_gradient
from srm_keras.analysis.networks import data_format_of
from srm_keras.models.flatten import flatten_named
from srm_keras.models.functional import copied
from srm_keras.validation import one_of

METHODS = ("grad_cam", "grad_cam++")
_BATCH = 32


def grad_cam(
    model: keras.Model,
    images: np.ndarray,
    classes: int | Sequence[int] | np.ndarray | None = None,
    layer: str | None = None,
    method: str = "grad_cam",
) -> np.ndarray:
    """Compute how much each place of a feature map speaks for a class.

    With the feature map A of the layer, the class's logit S (before softmax) and g = ∂S/∂A:

    - ``"grad_cam"``: ``ReLU(Σ_k α_k A_k)``, where ``α_k`` is the mean of ``g_k`` over all places;
    - ``"grad_cam++"``: ``ReLU(Σ_k w_k A_k)``, where ``w_k = Σ_ij α_kij ReLU(g_kij)`` and
      ``α = g² / (2 g² + g³ Σ_ab A_kab)``, 0 where the denominator is 0. (The derivatives are those
      of exp(S); its factor exp(S) scales a whole map and is left out.)

    Args:
        model: a functional or Sequential classifier, with or without recalibration modules and
            inner models (a backbone), of any dtype policy. Not changed.
        images: prepared images (N, H, W, C), or (N, C, H, W) for ``channels_first``.
        classes: class of all images or of each, (N,); None for the one each image is predicted as.
        layer: name of the layer with the feature map, ``"inner/layer"`` for one of an inner model
            (``"layer"`` where no other is called so), or of an inner model for its output; None for
            the last one that is more than 1×1, in this package's networks the output of the last
            residual block.
        method: ``"grad_cam"`` or ``"grad_cam++"``.

    Returns:
        float32 (N, h, w), the size of the feature map. Each map is divided by its maximum and so
        lies in [0, 1]; where nothing speaks for the class it is 0 throughout.

    Raises:
        ValueError: the model is not a functional classifier with one input; the images are not its
            inputs, or none; a class is out of range; the layer is unknown or its output is not
            4-D; or ``method`` is neither.

    Reference:
        Selvaraju et al. 2017, eqs. 1 and 2; Chattopadhay et al. 2018, eqs. 5, 10 and 19.
    """
    one_of("method", method, METHODS)
    check_classifier(model)
    check_images(model, images)
    flat, names = flatten_named(model)
    # Of a copy: Keras changes the graph of a model out of which a part is taken.
    copy = copied(flat)
    scores, features = logits(copy), feature_map(copy, layer_called(layer, names))
    wanted = _wanted(classes, len(images), scores.shape[-1])
    channels_first = data_format_of(copy) == "channels_first"
    of_method = _grad_cam if method == "grad_cam" else _grad_cam_plus_plus
    trunk = keras.Model(copy.inputs[0], [features, scores])
    # With the image as an input too, the feature map may lie beside a shortcut.
    head = keras.Model([copy.inputs[0], features], scores)
    maps = []
    for start in range(0, len(images), _BATCH):
        part = slice(start, start + _BATCH)
        inputs = keras.ops.convert_to_tensor(images[part])
        values, predicted = map(_float32, trunk(inputs, training=False))
        of_class = predicted.argmax(-1) if wanted is None else wanted[part]
        gradients = _gradients(head, inputs, values, of_class)
        if channels_first:
            values, gradients = (np.moveaxis(x, 1, -1) for x in (values, gradients))
        maps.append(of_method(values.astype("float64"), gradients.astype("float64")))
    return _normalized(np.concatenate(maps))


def _gradients(head: keras.Model, inputs, values: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """∂S/∂A of every image; images do not influence each other at inference."""
    dtype = head.inputs[1].dtype
    one_hot = keras.ops.one_hot(classes, head.outputs[0].shape[-1], dtype="float32")

    def score(features):
        outputs = head([inputs, keras.ops.cast(features, dtype)], training=False)
        return keras.ops.sum(keras.ops.cast(outputs, "float32") * one_hot)

    return input_gradient(score, values)


def _float32(tensor) -> np.ndarray:
    return keras.ops.convert_to_numpy(keras.ops.cast(tensor, "float32"))


def _grad_cam(features: np.ndarray, gradients: np.ndarray) -> np.ndarray:
    weights = gradients.mean(axis=(1, 2), keepdims=True)
    return (weights * features).sum(axis=-1)


def _grad_cam_plus_plus(features: np.ndarray, gradients: np.ndarray) -> np.ndarray:
    sums = features.sum(axis=(1, 2), keepdims=True)
    denominators = 2 * gradients**2 + sums * gradients**3
    alphas = np.divide(
        gradients**2, denominators, out=np.zeros_like(gradients), where=denominators != 0
    )
    weights = (alphas * np.maximum(gradients, 0)).sum(axis=(1, 2), keepdims=True)
    return (weights * features).sum(axis=-1)


def _normalized(maps: np.ndarray) -> np.ndarray:
    """The positive part of each map, divided by its maximum."""
    positive = np.maximum(maps, 0)
    highest = positive.max(axis=(1, 2), keepdims=True)
    return np.divide(positive, highest, out=positive, where=highest > 0).astype("float32")


def _wanted(
    classes: int | Sequence[int] | np.ndarray | None, images: int, count: int
) -> np.ndarray | None:
    """The class of each image, checked."""
    if classes is None:
        return None
    wanted = np.asarray(classes)
    valid = wanted.dtype.kind in "iu" and wanted.shape in ((), (images,))
    if not valid or wanted.min() < 0 or wanted.max() >= count:
        raise ValueError(
            f"`classes` must be an integer in 0 … {count - 1}, or one for each of the {images} "
            f"images. Received: classes={classes!r}"
        )
    return np.broadcast_to(wanted, (images,))
