"""The ResNets of ``keras.applications``, ImageNet weights included, as networks of this package."""

import hashlib
import os
import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import ops

from srm_keras.data import Preprocessing
from srm_keras.data.sources.imagenet import CLASS_NAMES
from srm_keras.interop import cards
from srm_keras.layers import Recalibration
from srm_keras.models.applications import application_classifier, application_standardization
from srm_keras.models.head import check_finite
from srm_keras.models.residual import NestedSpec
from srm_keras.models.resnet import DEPTHS, ResNet
from srm_keras.models.weights import Trained
from srm_keras.support.foreign import first_line
from srm_keras.support.validation import one_of, positive_int

CHANNEL_ORDERS = ("bgr", "rgb")
# With which `(value / 255 - mean) / std` is what `preprocess_input` of keras.applications' ResNets
# makes of an image, channels in RGB order.
RGB_MEAN = tuple(value / 255 for value in (123.68, 116.779, 103.939))
RGB_STD = (1 / 255,) * 3

IMAGENET_NETWORKS = {"resnet50": "ResNet50", "resnet101": "ResNet101", "resnet152": "ResNet152"}
"""Networks of the catalogue, and the ones of ``keras.applications`` with their ImageNet weights."""

NAMES = tuple(IMAGENET_NETWORKS.values())
_CACHE = Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras") / "models"

_FIRST = "conv1_conv"
_HEAD = "predictions"
_OUTSIDE_UNITS = {_FIRST: _FIRST, "conv1_bn": "conv1_bn", "logits": _HEAD}
_LAYER = re.compile(r"(conv\d+)_(\d+)_(\d|shortcut)_(conv|bn)")


def from_keras_applications(
    model: str | keras.Model = "ResNet50",
    recalibration: NestedSpec = None,
    classes: int | None = None,
    weights: str | os.PathLike | None = "imagenet",
    channel_order: str = "bgr",
    input_shape: tuple[int | None, ...] | None = None,
    classifier_activation: str | None = "softmax",
    name: str | None = None,
) -> keras.Model:
    """Build a ResNet of this package with the weights of one of ``keras.applications``.

    The biases of its convolutions go into the moving means of the batch norms after them, and the
    difference of the two epsilons into the moving variances, so the function is the same. With
    ``recalibration`` it is so where the modules start neutral (``srm_keras.layers.neutral(spec)``);
    others do not gate by 1 (SRM's new gates are 0.5), and the network is a start to train from.

    Args:
        model: ``"ResNet50"``, ``"ResNet101"``, ``"ResNet152"``, or such a model.
        recalibration: A spec, or nested lists of specs, as for ``ResNet50``.
        classes: None for the classifier of ``model``, or its features where it has none. Another
            number than it has: a new classifier.
        weights: For a name: ``"imagenet"`` (Keras downloads them), a file, or None for random.
        channel_order: The images that the new network reads. ``"bgr"``, what ``model`` reads and
            ``keras.applications.resnet.preprocess_input`` makes; or ``"rgb"``: the first
            convolution is turned round, so that ``Preprocessing(mean=RGB_MEAN, std=RGB_STD)`` of
            this package makes the same images.
        input_shape: (H, W, C); that of ``model`` by default.
        classifier_activation: ``"softmax"``, or None for logits.
        name: Of the network.

    Returns:
        A functional ``keras.Model`` with the stride in the first 1×1 convolution of a bottleneck.

    Raises:
        ValueError: An argument is not one of the above, or ``model`` is another network.

    Example:
        >>> from_keras_applications("ResNet50", recalibration="srm", classes=24)
    """
    one_of("channel_order", channel_order, CHANNEL_ORDERS)
    if classes is not None:
        classes = positive_int("classes", classes)
    if not isinstance(model, keras.Model):
        one_of("model", model, NAMES)
        weights = os.fspath(weights) if isinstance(weights, os.PathLike) else weights
        model = getattr(keras.applications, model)(weights=weights)
    check_finite(model, f"`model` {model.name!r}")
    source = {layer.name: layer for layer in model.layers if layer.weights}
    depth = _depth(model, source)
    _check_channels(source[_FIRST], input_shape)
    own_classes = source[_HEAD].units if _HEAD in source else None
    include_top = (classes or own_classes) is not None
    network = ResNet(
        *DEPTHS[depth],
        include_top=include_top,
        pooling=None if include_top else _pooling(model),
        input_shape=input_shape or tuple(model.input_shape[1:]),
        classes=classes or own_classes or 1,
        classifier_activation=classifier_activation,
        recalibration=recalibration,
        stride_in="1x1",
        name=name,
    )
    left_out = {"logits"} if classes not in (None, own_classes) else set()
    _load(network, source, left_out, turned=channel_order == "rgb")
    return network


def read_imagenet(network: str, options: Mapping[str, Any] | None = None) -> Trained:
    """Return a network with the ImageNet weights of ``keras.applications``, for RGB images.

    Args:
        network: One of ``IMAGENET_NETWORKS``, which becomes a network of this package, or of
            ``application_names()``, as ``application_classifier`` builds it.
        options: Arguments of the constructor of the latter.

    Raises:
        ValueError: The weights are not in Keras' cache and cannot be downloaded, or there are none
            for such options.
    """
    source = IMAGENET_NETWORKS.get(network, network)
    try:
        if network in IMAGENET_NETWORKS:
            model = from_keras_applications(source, channel_order="rgb", name=network)
        else:
            model = application_classifier(network, options=options, weights="imagenet")
    except Exception as error:  # Keras raises a bare one where a download fails.
        raise ValueError(
            f"`weights` 'imagenet' of {network!r} cannot be had: looked for in "
            f"{_CACHE} and on the server of keras.applications ({first_line(error)}). A file "
            "that was fetched elsewhere may be put into that folder"
        ) from None
    preprocessing = Preprocessing.from_dict(
        cards.preprocessing(*application_standardization(network), model.input_shape[1:])
    )
    digest = hashlib.sha256()
    for variable in model.weights:
        digest.update(ops.convert_to_numpy(variable).tobytes())
    classes = CLASS_NAMES if model.output_shape[1:] == (len(CLASS_NAMES),) else None
    card = {"keras.applications": source}
    name = f"{network}.imagenet"
    return Trained(model, name, digest.hexdigest(), preprocessing, classes, card)


def _depth(model: keras.Model, source: Mapping[str, Any]) -> int:
    """Depth of ``model``, whose layers with weights must be exactly those of a ResNet."""
    for depth, (block, blocks) in DEPTHS.items():
        if block == "bottleneck" and set(source) - {_HEAD} == _layer_names(blocks):
            return depth
    raise ValueError(
        f"`model` must be one of {list(NAMES)} of keras.applications (not V2) with nothing added. "
        f"Received: {model.name!r}, whose layers with weights are {', '.join(list(source)[:4])}, …"
    )


def _pooling(model: keras.Model) -> str | None:
    names = {layer.name for layer in model.layers}
    return next((kind for kind in ("avg", "max") if f"{kind}_pool" in names), None)


def _layer_names(blocks: Sequence[int]) -> set[str]:
    names = {_FIRST, "conv1_bn"}
    for stage, count in enumerate(blocks, start=2):
        for unit in range(1, count + 1):
            parts = range(0 if unit == 1 else 1, 4)
            names |= {f"conv{stage}_block{unit}_{p}_{k}" for p in parts for k in ("conv", "bn")}
    return names


def _check_channels(first: Any, input_shape: Sequence[int | None] | None) -> None:
    channels = first.kernel.shape[2]
    if input_shape is not None and channels not in (input_shape[0], input_shape[-1]):
        raise ValueError(
            f"`input_shape` must have the {channels} channels of `model`. "
            f"Received: input_shape={tuple(input_shape)}"
        )


def _load(
    network: keras.Model, source: Mapping[str, Any], left_out: Collection[str], turned: bool
) -> None:
    for layer in network.layers:
        if not layer.weights or isinstance(layer, Recalibration) or layer.name in left_out:
            continue
        values = _weights(source[_source_name(layer.name)], source, layer)
        if layer.name == _FIRST and turned:
            values = [values[0][:, :, ::-1]]
        layer.set_weights(values)


def _source_name(name: str) -> str:
    if name in _OUTSIDE_UNITS:
        return _OUTSIDE_UNITS[name]
    match = _LAYER.fullmatch(name)
    assert match, name
    stage, unit, part, kind = match.groups()
    return f"{stage}_block{unit}_{'0' if part == 'shortcut' else part}_{kind}"


def _weights(layer: Any, source: Mapping[str, Any], target: Any) -> list[np.ndarray]:
    """What the target's weights must be, in their order."""
    if isinstance(layer, keras.layers.Conv2D):
        return layer.get_weights()[:1]
    if isinstance(layer, keras.layers.Dense):
        return layer.get_weights()
    conv = source[layer.name.removesuffix("bn") + "conv"]
    return _folded(layer, conv.get_weights()[1], target.epsilon)


def _folded(bn: Any, bias: np.ndarray, epsilon: float) -> list[np.ndarray]:
    """Batch norm of a bias-free convolution: ``m′ = m − b`` and ``v′ + ε′ = v + ε``."""
    gamma, beta, mean, variance = bn.get_weights()
    variance = variance.astype("float64") + (bn.epsilon - epsilon)
    return [gamma, beta, mean - bias, variance.astype("float32")]
