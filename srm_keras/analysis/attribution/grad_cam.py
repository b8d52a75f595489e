"""Grad-CAM and Grad-CAM++: where in an image the evidence for a class lies."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np

from srm_keras.models.flatten import flatten_named
from srm_keras.models.head import before_activation, output_of
from srm_keras.models.surgery.functional import check_functional, copied, data_format_of
from srm_keras.support.validation import nearest, one_of

_PROBABILITIES = (keras.activations.softmax, keras.activations.sigmoid)


def layer_called(name: str | None, names: Mapping[str, str]) -> str | None:
    """Return the name in a flat model of the layer that is called ``name``; None for None.

    Args:
        name: A key of ``names``, or the last part of one of them alone.
        names: Of ``flatten_named``.

    Raises:
        ValueError: No layer has this name, or several layers of inner models.
    """
    if name is None or name in names:
        return name if name is None else names[name]
    found = [path for path in names if path.rpartition("/")[2] == name]
    if len(found) > 1:
        raise ValueError(f"`layer` must say which {name!r} it means: one of {found}")
    if not found:
        raise ValueError(
            "`layer` must be the name of a layer of `model`. "
            f"Received: layer={name!r}{nearest(name, names)}"
        )
    return names[found[0]]


def feature_map(model: keras.Model, layer: str | None = None):
    """Return the symbolic output of a layer, 4-D.

    Args:
        model: A functional model.
        layer: Its name; None for the last one whose output is a map of more than one place.

    Raises:
        ValueError: No layer has this name, its output is not 4-D, or none is.
    """
    layers = {
        each.name: each for each in model.layers if not isinstance(each, keras.layers.InputLayer)
    }
    maps = {name: output_of(each) for name, each in layers.items() if _is_map(output_of(each))}
    if layer is None:
        if not maps:
            raise ValueError(f"`model` must have a 4-D feature map. Received: {model.name!r}")
        large = [each for each in maps.values() if sorted(each.shape[1:], key=_size)[-2] != 1]
        return (large or list(maps.values()))[-1]
    if layer not in layers:
        raise ValueError(
            f"`layer` must be the name of a layer of {model.name!r}. "
            f"Received: layer={layer!r}{nearest(layer, maps)}"
        )
    if layer not in maps:
        raise ValueError(
            "`layer` must have one 4-D feature map as output. "
            f"Received: layer={layer!r} of class {type(layers[layer]).__name__}"
        )
    return maps[layer]


def check_classifier(model: keras.Model) -> None:
    """Raise ``ValueError`` unless ``model`` is functional, with one input and scores as output."""
    check_functional(model)
    if len(model.inputs) != 1 or len(model.outputs) != 1 or len(model.outputs[0].shape) != 2:
        shapes = [tuple(output.shape) for output in model.outputs]
        raise ValueError(
            "`model` must have one input and as output one vector of scores for each image. "
            f"Received: {model.name!r} with {len(model.inputs)} inputs and outputs of {shapes}"
        )


def check_images(model: keras.Model, images: np.ndarray) -> None:
    """Raise ``ValueError`` unless ``images`` are at least one input of ``model``."""
    expected = tuple(model.inputs[0].shape)
    shape = np.shape(images)
    fits = len(shape) == len(expected) and all(
        side is None or side == given for side, given in zip(expected[1:], shape[1:], strict=True)
    )
    if not fits or not shape[0]:
        raise ValueError(
            f"`images` must be at least one prepared image of {model.name!r}, which takes "
            f"{expected}. Received: shape {shape}"
        )


def _is_map(output) -> bool:
    return isinstance(output, keras.KerasTensor) and len(output.shape) == 4


def _size(side: int | None) -> float:
    return float("inf") if side is None else side


Function = Callable[[Any], Any]


def input_gradient(function: Function, x: np.ndarray) -> np.ndarray:
    """Return the gradient of ``function`` at ``x``.

    Args:
        function: From a tensor of the backend to a scalar tensor, in Keras layers and operations.
        x: Floating array.

    Returns:
        Array of the shape and dtype of ``x``.

    Raises:
        ValueError: The Keras backend has no gradients here.
    """
    backend = keras.config.backend()
    if backend not in _GRADIENTS:
        raise ValueError(
            f"The Keras backend must be one of {list(_GRADIENTS)} to compute gradients. "
            f"Received: {backend!r}"
        )
    return keras.ops.convert_to_numpy(_GRADIENTS[backend](function, x))


def _tensorflow(function: Function, x: np.ndarray) -> Any:
    import tensorflow as tf

    tensor = tf.convert_to_tensor(x)
    with tf.GradientTape() as tape:
        tape.watch(tensor)
        value = function(tensor)
    return tape.gradient(value, tensor)


def _jax(function: Function, x: np.ndarray) -> Any:
    import jax

    return jax.grad(function)(jax.numpy.asarray(x))


def _torch(function: Function, x: np.ndarray) -> Any:
    import torch

    tensor = keras.ops.convert_to_tensor(x).detach().requires_grad_()
    (gradient,) = torch.autograd.grad(function(tensor), tensor)
    return gradient


_GRADIENTS = {"tensorflow": _tensorflow, "jax": _jax, "torch": _torch}


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
        model: A functional or Sequential classifier, with or without recalibration modules and
            inner models (a backbone), of any dtype policy. Not changed.
        images: Prepared images (N, H, W, C), or (N, C, H, W) for ``channels_first``.
        classes: Class of all images or of each, (N,); None for the one each image is predicted as.
        layer: Name of the layer with the feature map, ``"inner/layer"`` for one of an inner model
            (``"layer"`` where no other is called so), or of an inner model for its output; None for
            the last one that is more than 1×1, in this package's networks the output of the last
            residual block.
        method: ``"grad_cam"`` or ``"grad_cam++"``.

    Returns:
        float32 (N, h, w), the size of the feature map. Each map is divided by its maximum and so
        lies in [0, 1]; where nothing speaks for the class it is 0 throughout.

    Raises:
        ValueError: The model is not a functional classifier with one input; the images are not its
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
    scores = before_activation(copy, _PROBABILITIES)
    features = feature_map(copy, layer_called(layer, names))
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
