"""Frozen networks whose inner features losses compare and encoders start from."""

import os
import pathlib
from collections.abc import Sequence

import keras

from srm_keras.layers.dropping import Dropout
from srm_keras.models.applications import (
    PREPROCESSINGS,
    application,
    application_preprocessing,
    load_whole_or_part,
    without_top,
)
from srm_keras.models.keras_files import read_keras_file
from srm_keras.models.surgery.functional import check_functional, copied, is_functional, remade
from srm_keras.support.validation import nearest, one_of

# What these do to features in training, the `training` of a surrounding model would turn on.
_ONLY_IN_TRAINING = (
    keras.layers.Dropout,
    keras.layers.SpatialDropout2D,
    keras.layers.AlphaDropout,
    keras.layers.GaussianDropout,
    keras.layers.GaussianNoise,
    Dropout,
)
_BGR_MEAN = (103.939, 116.779, 123.68)
_RGB_MEAN = (0.485, 0.456, 0.406)
_RGB_STD = (0.229, 0.224, 0.225)


def feature_network(
    layers: Sequence[str],
    network: str = "vgg16",
    weights: str | os.PathLike | None = "imagenet",
    preprocessing: str | None = None,
) -> keras.Model:
    """Make a frozen network from images to the features of some of its layers.

    Nothing behind the deepest of ``layers`` is part of it. It computes in float32 whatever the
    dtype policy, and as at inference whatever ``training`` says: batch norm is frozen, dropout and
    noise are left out.

    In the VGG networks of Keras a convolution includes its ReLU: ``"block2_conv2"`` is what papers
    call relu2_2. Their convolutions pad with zeros, as torchvision's do.

    Args:
        layers: Names of layers, each once.
        network: A network of ``keras.applications`` (``"vgg16"``, ``"resnet50"``,
            ``"mobilenet_v2"``, …) without its classifier, or a ``.keras`` file.
        weights: Of a network of ``keras.applications``: ``"imagenet"``, which Keras downloads; a
            ``.weights.h5``, ``.h5`` or ``.keras`` file of the network, or of the part of it that
            ends with the deepest of ``layers``; or None for random ones, which is for tests. A
            ``.keras`` network has its own.
        preprocessing: What becomes of an image first. ``"caffe"`` (BGR, minus the mean (103.939,
            116.779, 123.68), with which weights may be used that were trained with a mean less
            than one grey level away, such as (104.007, 116.669, 122.679)), ``"tf"`` (RGB from -1
            to 1), ``"torch"`` (RGB, standardized by ImageNet's mean and deviation) or ``"none"``
            (RGB from 0 to 255). None: as ``keras.applications`` has it; a ``.keras`` file does not
            tell.

    Returns:
        A functional ``keras.Model`` that is not trainable, from "image", RGB (N, H, W, 3) from 0
        to 255 of any size, to a list of float32 features in the order of ``layers``, which are its
        ``output_names``; as every Keras model, with one output it returns no list.

    Raises:
        ValueError: An argument is not one of the above, a file is missing or of another network,
            or ImageNet weights cannot be downloaded; see the message.

    Example:
        >>> network = feature_network(["block1_conv2", "block2_conv2"])
        >>> [tuple(x.shape) for x in network(keras.ops.zeros((1, 32, 32, 3)))]
        [(1, 32, 32, 64), (1, 16, 16, 128)]
    """
    _check_layers(layers)
    if preprocessing is not None:
        one_of("preprocessing", preprocessing, PREPROCESSINGS)
    network = os.fspath(network) if isinstance(network, os.PathLike) else str(network)
    weights = os.fspath(weights) if isinstance(weights, os.PathLike) else weights
    if network.endswith(".keras"):
        part = _file_part(network, layers, weights, preprocessing)
    else:
        part = _application_part(network, layers, weights)
        preprocessing = preprocessing or application_preprocessing(network)
    name = f"{pathlib.Path(network).stem}_features"
    return _on_images(_float32(part), layers, preprocessing or "none", name)


def _application_part(network: str, layers: Sequence[str], weights: str | None) -> keras.Model:
    builder = application(network)
    whole = without_top(builder, None)
    part = _part(whole, layers)  # unknown layers are told before anything is downloaded
    if weights == "imagenet":
        return _part(without_top(builder, weights), layers)
    if weights is not None:
        load_whole_or_part(whole, part, weights)
    return part


def _file_part(
    path: str, layers: Sequence[str], weights: str | None, preprocessing: str | None
) -> keras.Model:
    if preprocessing is None:
        raise ValueError(
            "`preprocessing` must be given where `network` is a file: one of "
            f"{list(PREPROCESSINGS)}. Received: preprocessing=None, network={path!r}"
        )
    if weights != "imagenet":
        raise ValueError(
            "`weights` must be left out where `network` is a file, which has its own. "
            f"Received: weights={weights!r}, network={path!r}"
        )
    if not pathlib.Path(path).is_file():
        raise ValueError(f"`network` must be an existing file. Received: network={path!r}")
    whole = read_keras_file(path)
    check_functional(whole)
    if len(whole.inputs) != 1 or whole.inputs[0].shape[1:][-1:] != (3,):
        raise ValueError(
            "`network` must have one input, (N, H, W, 3). Received: a network with inputs "
            f"{[tuple(x.shape) for x in whole.inputs]}, network={path!r}"
        )
    return _part(whole, layers)


def _part(network: keras.Model, layers: Sequence[str]) -> keras.Model:
    """What of ``network`` is needed for ``layers``, with their outputs as its own."""
    known = [layer.name for layer in network.layers]
    for name in layers:
        if name not in known:
            raise ValueError(
                f"`layers` must be names of layers of {network.name!r}: {known}. "
                f"Received: {name!r}{nearest(name, known)}"
            )
    outputs = [network.get_layer(name).output for name in layers]
    return keras.Model(network.inputs[0], outputs, name=network.name)


def _float32(network: keras.Model) -> keras.Model:
    """A copy with the same weights, float32 and without dropout, for images of any size."""

    def copy(layer):
        if is_functional(layer):
            return _float32(layer)
        if isinstance(layer, _ONLY_IN_TRAINING):
            return keras.layers.Identity(name=layer.name, dtype="float32")
        return remade(layer, layer.name, dtype="float32")

    channels = network.inputs[0].shape[-1]
    image = keras.Input((None, None, channels), name="image")
    return copied(network, copy, inputs=keras.tree.map_structure(lambda _: image, network.input))


def _on_images(part: keras.Model, layers: Sequence[str], mode: str, name: str) -> keras.Model:
    """``part`` behind its preprocessing, frozen, with its outputs named after the layers."""
    image = keras.Input((None, None, 3), name="image")
    features = keras.tree.flatten(part(_preprocess(image, mode)))
    outputs = [
        keras.layers.Identity(name=layer, dtype="float32")(x)
        for layer, x in zip(layers, features, strict=True)
    ]
    model = keras.Model(image, outputs, name=name)
    model.trainable = False
    return model


def _preprocess(image, mode: str):
    """What ``keras.applications`` makes of RGB images from 0 to 255."""
    if mode == "none":
        return image
    scale, offset = {
        "caffe": ([1.0] * 3, [-mean for mean in _BGR_MEAN]),
        "tf": ([1 / 127.5] * 3, [-1.0] * 3),
        "torch": (
            [1 / (255 * std) for std in _RGB_STD],
            [-mean / std for mean, std in zip(_RGB_MEAN, _RGB_STD, strict=True)],
        ),
    }[mode]
    x = keras.ops.flip(image, axis=-1) if mode == "caffe" else image
    return keras.layers.Rescaling(scale, offset, dtype="float32", name="preprocessing")(x)


def _check_layers(layers: Sequence[str]) -> None:
    named = not isinstance(layers, str) and isinstance(layers, Sequence) and len(layers) > 0
    if not named or len(set(layers)) < len(layers):
        raise ValueError(
            f"`layers` must be a list of layer names, each once. Received: layers={layers!r}"
        )
    if keras.config.image_data_format() != "channels_last":
        raise ValueError("A feature network needs keras.config.image_data_format 'channels_last'.")
