"""The AdaIN stylizer: any photograph in the style of any painting, with one network."""

import os
from dataclasses import dataclass, fields

import keras
from keras import layers, ops

from srm_keras.layers.instance_norm import AdaptiveInstanceNormalization
from srm_keras.layers.reflection import PadToMultiple, ReflectionConv2D, ReflectionPadding2D
from srm_keras.models.feature_network import feature_network
from srm_keras.models.stylization import CropToMatch
from srm_keras.models.surgery.functional import copied, is_functional, remade
from srm_keras.support.validation import one_of

CONVOLUTIONS = {"vgg16": (2, 2, 3, 3, 3), "vgg19": (2, 2, 4, 4, 4)}
"""How many convolutions the blocks of each encoder have (Simonyan and Zisserman 2015, table 1)."""

FILTERS = (64, 128, 256, 512, 512)
"""Filters of the convolutions of each block."""


def AdaINStylizer(
    cut: str = "block4_conv1",
    network: str = "vgg16",
    weights: str | os.PathLike | None = "imagenet",
    name: str | None = None,
) -> keras.Model:
    """Build a network that paints one image in the style of another.

    A frozen encoder, VGG up to ``cut``, takes both to feature maps; the content's is given the
    style's statistics, ``t = s·AdaIN(f_c, f_s) + (1 − s)·f_c`` with strength s; a decoder takes t
    back to an image. The decoder mirrors the encoder: its convolutions in reverse order with
    inputs and outputs exchanged, a nearest-neighbour upsampling for every pooling, ReLU after all
    convolutions but the last, no normalization. All convolutions pad by reflection, those of the
    encoder too as in the authors' code: zeros would draw frames. ``srm_keras.training``
    trains it; a new one paints nothing of use.

    Parts, each of which ``get_layer`` finds by its name: ``pad``, ``encoder`` (a list of feature
    maps, the last of which is ``cut``'s), ``adain``, ``decoder``, ``crop``. ``pad`` mirrors images
    at the bottom and right to a multiple of the encoder's stride, and to twice it at least;
    ``crop`` takes off again what that added. The encoder, ``adain`` and the last convolution
    compute in float32 under mixed precision.

    Args:
        cut: The convolution whose ReLU ends the encoder, ``"block<b>_conv<c>"``. The default is
            relu4_1; shallower ones are faster and change colours and fine texture alone.
        network: ``"vgg16"`` or ``"vgg19"`` (the paper's).
        weights: Of the encoder: ``"imagenet"``, a file, or None for random ones; as for
            ``feature_network``.
        name: Of the model.

    Returns:
        A functional ``keras.Model``. Its input is a dict: ``"content"``, float RGB images of
        values 0 to 255 (N, H, W, 3); ``"style"``, likewise (N, H', W', 3) or (1, H', W', 3) for
        all; ``"strength"``, numbers in [0, 1] (N,). Its output is (N, H, W, 3) float32, about 0 to
        255 and not clipped. All sizes are free.

    Raises:
        ValueError: ``cut`` or ``network`` is not one of the above, the weights cannot be had, or
            Keras' global data format is ``"channels_first"``.

    Reference:
        Huang and Belongie 2017, sections 5, 6 and 7.2 (strength: eq. 14).
    """
    features = encoder_layers(cut, network)
    encoder = _reflecting(feature_network(features, network=network, weights=weights), "encoder")
    encoder.trainable = False
    decoder = _decoder(cut, network)
    stride = 2 ** _block(cut)
    pad = PadToMultiple(stride, 2 * stride, dtype="float32", name="pad")
    mix = AdaptiveInstanceNormalization(data_format="channels_last", dtype="float32", name="adain")

    inputs = {key: keras.Input((None, None, 3), name=key) for key in ("content", "style")}
    inputs["strength"] = keras.Input((), dtype="float32", name="strength")
    crop = CropToMatch("channels_last", dtype="float32", name="crop")
    parts = Parts(pad, encoder, mix, decoder, crop)
    style = parts.encoded(inputs["style"])[-1]
    outputs = parts.painted(inputs["content"], style, inputs["strength"])
    return keras.Model(inputs, outputs, name=name or f"adain_{network}_{cut}")


@dataclass(frozen=True)
class Parts:
    """The parts of an ``AdaINStylizer``."""

    pad: keras.layers.Layer
    encoder: keras.Model
    adain: keras.layers.Layer
    decoder: keras.Model
    crop: keras.layers.Layer

    @classmethod
    def of(cls, stylizer: keras.Model) -> "Parts":
        """The parts of a stylizer.

        Raises:
            ValueError: It is none that ``AdaINStylizer`` made.
        """
        names = {layer.name: layer for layer in getattr(stylizer, "layers", ())}
        try:
            return cls(*(names[field.name] for field in fields(cls)))
        except KeyError:
            raise ValueError(
                "`stylizer` must be a network made by AdaINStylizer. "
                f"Received: {getattr(stylizer, 'name', stylizer)!r}"
            ) from None

    def encoded(self, images) -> list:
        """The encoder's feature maps of RGB images, in the order of ``encoder_layers``."""
        return keras.tree.flatten(self.encoder(self.pad(images), training=False))

    def painted(self, images, style, strength):
        """RGB images whose features have in part the statistics of ``style``, features."""
        content = self.encoded(images)[-1]
        strength = ops.reshape(strength, (-1, 1, 1, 1))
        mixed = strength * self.adain([content, style]) + (1.0 - strength) * content
        return self.crop([self.decoder(mixed), images])


def halves(stylizer: keras.Model) -> tuple[keras.Model, keras.Model]:
    """The stylizer in two models, so that a painting is encoded once for many images.

    Returns:
        A model from style images to the features at the cut, and one from a dict of
        ``"content"``, ``"features"`` and ``"strength"`` to images. They share the stylizer's
        layers.

    Raises:
        ValueError: ``stylizer`` is none that ``AdaINStylizer`` made.
    """
    parts = Parts.of(stylizer)
    style = keras.Input((None, None, 3), name="style")
    features = parts.encoded(style)[-1]
    inputs = {
        "content": keras.Input((None, None, 3), name="content"),
        "features": keras.Input(features.shape[1:], name="features"),
        "strength": keras.Input((), dtype="float32", name="strength"),
    }
    painted = parts.painted(inputs["content"], inputs["features"], inputs["strength"])
    return keras.Model(style, features, name="encode"), keras.Model(inputs, painted, name="paint")


def encoder_layers(cut: str, network: str = "vgg16") -> list[str]:
    """The layers whose features the encoder gives: the first of each block, and ``cut``.

    Raises:
        ValueError: ``cut`` or ``network`` is not one that ``AdaINStylizer`` takes.
    """
    one_of("cut", cut, _names(one_of("network", network, CONVOLUTIONS)))
    firsts = [f"block{block + 1}_conv1" for block in range(_block(cut) + 1)]
    return list(dict.fromkeys([*firsts, cut]))


def _reflecting(model: keras.Model, name: str) -> keras.Model:
    """A copy of a network, with its weights, whose convolutions pad by reflection."""

    def copy(layer):
        if is_functional(layer):
            return _reflecting(layer, layer.name)
        if type(layer) is keras.layers.Conv2D:
            return ReflectionConv2D.from_config(layer.get_config())
        return remade(layer, layer.name)

    return copied(model, copy, name=name)


def _decoder(cut: str, network: str) -> keras.Model:
    """From ``cut``'s features to RGB; convolutions bear the names of those that they mirror."""
    names = _names(network)
    mirrored = names[names.index(cut) :: -1]
    x = inputs = keras.Input((None, None, FILTERS[_block(cut)]), name="features")
    for position, name in enumerate(mirrored):
        last = position == len(mirrored) - 1
        following = None if last else mirrored[position + 1]
        x = ReflectionPadding2D(1, data_format="channels_last", name=f"{name}_pad")(x)
        x = layers.Conv2D(
            3 if following is None else FILTERS[_block(following)],
            3,
            activation=None if last else "relu",
            data_format="channels_last",
            dtype="float32" if last else None,
            name=f"{name}_mirrored",
        )(x)
        if following is not None and _block(following) < _block(name):
            pool = f"block{_block(following) + 1}_pool_mirrored"
            x = layers.UpSampling2D(2, data_format="channels_last", name=pool)(x)
    return keras.Model(inputs, x, name="decoder")


def _names(network: str) -> list[str]:
    """The convolutions of a VGG network, in order."""
    return [
        f"block{block}_conv{number}"
        for block, count in enumerate(CONVOLUTIONS[network], start=1)
        for number in range(1, count + 1)
    ]


def _block(name: str) -> int:
    """The position of a convolution's block, which is the number of poolings before it."""
    return int(name[len("block")]) - 1
