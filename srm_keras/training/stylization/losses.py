"""What stylizers are trained for: perceptual losses of feed-forward networks and of AdaIN.

Each returns one float32 number for each example, whatever the dtype of the features, so that a
trainer may average them over any split of a batch.
"""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from srm_keras.layers.style_pooling import StylePooling
from srm_keras.models.adain import Parts
from srm_keras.support.validation import boolean, nearest


def gram_matrix(features):
    """Correlations of the channels over the map: ``G = FᵀF / (C·H·W)`` with F (H·W, C).

    Args:
        features: (N, H, W, C), any floating dtype.

    Returns:
        (N, C, C) float32.

    Reference:
        Johnson et al. 2016, eq. 4.
    """
    _, height, width, channels = ops.shape(features)
    wide = ops.cast(features, "float32")
    flat = ops.reshape(wide, (-1, height * width, channels))
    elements = ops.cast(channels * height * width, "float32")
    return ops.matmul(ops.transpose(flat, (0, 2, 1)), flat) / elements


def content_loss(features, target):
    """Mean squared difference of two (N, H, W, C) maps of features; (N,) float32.

    Reference:
        Johnson et al. 2016, eq. 2.
    """
    return _mean_square(_wide(features) - _wide(target))


def style_loss(grams: Sequence, target_grams: Sequence):
    """Sum over layers of the mean squared difference of Gram matrices; (N,) float32.

    The mean over the C² entries is that of PyTorch's example fast_neural_style; Johnson et al.
    2016, eq. 5, have the sum.

    Args:
        grams: For each layer (N, C, C).
        target_grams: For each layer (N, C, C), or (1, C, C) for all examples.
    """
    pairs = zip(grams, target_grams, strict=True)
    return sum(_mean_square(_wide(gram) - _wide(target)) for gram, target in pairs)


def total_variation(images):
    """Mean squared difference of neighbours, down plus across; (N,) float32.

    Means, not sums: a weight for it serves pictures of any size.

    Args:
        images: (N, H, W, C), at least 2 pixels a side.

    Reference:
        Mahendran and Vedaldi, *Understanding Deep Image Representations by Inverting Them*, CVPR
        2015, section 2.2, with β = 2; used by Johnson et al. 2016, section 3.2.
    """
    x = _wide(images)
    return _mean_square(x[:, 1:] - x[:, :-1]) + _mean_square(x[:, :, 1:] - x[:, :, :-1])


def _wide(x):
    return ops.cast(x, "float32")


def _mean_square(difference):
    axes = tuple(range(1, len(difference.shape)))
    return ops.mean(ops.square(difference), axis=axes)


def perceptual_objective(
    stylizer: keras.Model,
    features: keras.Model,
    style_image: np.ndarray,
    content_layer: str,
    style_layers: Sequence[str],
    total_variation: bool = False,
) -> tuple[Any, dict[str, Any]]:
    """Return the input and the unweighted loss terms of a perceptual training, as Keras tensors.

    The features of the output shall be those of the input at ``content_layer``, and their Gram
    matrices those of ``style_image`` at ``style_layers``. The latter are computed here, once.

    Args:
        stylizer: From RGB images (N, H, W, 3) from 0 to 255 to images of the same size and range,
            with one input and one output: ``StylizationNet``. It alone has trainable weights.
        features: A frozen network of RGB images whose ``output_names`` are layers:
            ``feature_network``.
        style_image: (H, W, 3) RGB from 0 to 255, any size and dtype.
        content_layer: One of the layers of ``features``.
        style_layers: Some of the layers of ``features``.
        total_variation: Whether there is a term for the roughness of the output.

    Returns:
        ``(inputs, terms)``. ``inputs`` is a Keras input (N, H, W, 3) named "image"; ``terms`` has
        "content_loss", "style_loss" and, on request, "total_variation_loss", each (N,) float32,
        one number for each example.

    Raises:
        ValueError: A layer that ``features`` does not have, an image of another shape, or a model
            with other inputs.

    Reference:
        Johnson et al. 2016, section 3, in the form of PyTorch's example fast_neural_style.
    """
    boolean("total_variation", total_variation)
    names = list(features.output_names)
    content = _index("content_layer", content_layer, names)
    style = _style_indices(style_layers, names)
    _check_stylizer(stylizer)
    targets = _grams_of(features, _checked_image(style_image), style)

    image = keras.Input(tuple(stylizer.inputs[0].shape)[1:], name="image")
    stylized = stylizer(image)
    ours = keras.tree.flatten(features(stylized))
    theirs = keras.tree.flatten(features(image))
    terms = {
        "content_loss": ContentLoss(name="content_loss")([ours[content], theirs[content]]),
        "style_loss": StyleLoss(targets, name="style_loss")([ours[index] for index in style]),
    }
    if total_variation:
        terms["total_variation_loss"] = TotalVariation(name="total_variation_loss")(stylized)
    return image, terms


class _Term(keras.layers.Layer):
    """A loss term: one float32 number for each example."""

    def __init__(self, **kwargs: Any):
        super().__init__(dtype="float32", **kwargs)

    def compute_output_shape(self, input_shape):
        """(N,)."""
        first = input_shape[0]
        return (first[0],) if isinstance(first, list | tuple) else (first,)


class ContentLoss(_Term):
    """``content_loss`` of a list of two maps of features."""

    def call(self, inputs):
        """Return (N,)."""
        return content_loss(*inputs)


class StyleLoss(_Term):
    """``style_loss`` of a list of features, towards constant Gram matrices.

    Args:
        targets: For each map of features (1, C, C).
    """

    def __init__(self, targets: Sequence[np.ndarray], **kwargs: Any):
        super().__init__(**kwargs)
        self._count = len(targets)
        for index, target in enumerate(targets, start=1):
            weight = self.add_weight(
                shape=target.shape, initializer="zeros", trainable=False, name=f"gram{index}"
            )
            weight.assign(target)
            # An attribute: `tf.train.Checkpoint` passes over what is in a list.
            setattr(self, f"gram{index}", weight)

    @property
    def targets(self) -> list[keras.Variable]:
        """The constant Gram matrices."""
        return [getattr(self, f"gram{index}") for index in range(1, self._count + 1)]

    def call(self, inputs):
        """Return (N,)."""
        return style_loss([gram_matrix(x) for x in inputs], self.targets)


class TotalVariation(_Term):
    """``total_variation`` of images."""

    def call(self, inputs):
        """Return (N,)."""
        return total_variation(inputs)


def _grams_of(features: keras.Model, image: np.ndarray, indices: Sequence[int]) -> list[np.ndarray]:
    outputs = keras.tree.flatten(features(image[None]))
    return [ops.convert_to_numpy(gram_matrix(outputs[index])) for index in indices]


def _index(argument: str, layer: Any, names: list[str]) -> int:
    if layer in names:
        return names.index(layer)
    raise ValueError(
        f"`{argument}` must name outputs of `features`, {names}. "
        f"Received: {layer!r}{nearest(layer, names)}"
    )


def _style_indices(layers: Sequence[str], names: list[str]) -> list[int]:
    if isinstance(layers, str) or not layers or len(set(layers)) < len(layers):
        raise ValueError(
            "`style_layers` must be a list of layer names, each once. "
            f"Received: style_layers={layers!r}"
        )
    return [_index("style_layers", layer, names) for layer in layers]


def _check_stylizer(stylizer: keras.Model) -> None:
    shapes = [tuple(x.shape) for x in (*stylizer.inputs, *stylizer.outputs)]
    if [(len(shape), shape[-1]) for shape in shapes] != [(4, 3)] * 2:
        raise ValueError(
            "`stylizer` must have one input and one output, (N, H, W, 3). Received: "
            f"{stylizer.name!r} with inputs and outputs of shapes {shapes}"
        )


def _checked_image(image: Any) -> np.ndarray:
    image = np.asarray(image)
    if image.ndim != 3 or image.shape[-1] != 3 or not np.issubdtype(image.dtype, np.number):
        raise ValueError(
            "`style_image` must be an array (H, W, 3) of numbers. Received: an array of shape "
            f"{image.shape}, {image.dtype}"
        )
    return image.astype("float32")


def adain_objective(stylizer: keras.Model) -> tuple[list, dict]:
    """What the decoder of an AdaIN stylizer is to make small.

    The decoder is given t, the content's features with the style's statistics (strength 1), and
    what it paints goes through the encoder again. Its features should be t, and at every depth its
    channels should have the style's means and standard deviations:

        content_loss = mean (f(g(t)) − t)²
        style_loss   = Σ_layers [ mean_c (μ(φ(g(t))) − μ(φ(s)))² + mean_c (σ(φ(g(t))) − σ(φ(s)))² ]

    with decoder g, encoder f, and φ each of the encoder's feature maps: relu1_1, relu2_1 … to the
    depth of f. All of it is float32, and only the decoder is trained. Features are those of images
    of 0 to 255, so that both losses start at 10⁴ and more; only their ratio matters to Adam.

    Args:
        stylizer: An ``AdaINStylizer``, also one that was loaded from a file. The objective shares
            its layers.

    Returns:
        ``(inputs, terms)``: Keras tensors of content and style images, float32 RGB 0 to 255
        (N, H, W, 3) and (N, H', W', 3); and a dict of ``"content_loss"`` and ``"style_loss"``,
        each (N,) float32, one number for each example, without weights.

    Raises:
        ValueError: ``stylizer`` is no AdaIN stylizer.

    Reference:
        Huang and Belongie, *Arbitrary Style Transfer in Real-time with Adaptive Instance
        Normalization*, ICCV 2017, eqs. 11-13.
    """
    parts = Parts.of(stylizer)
    inputs = [keras.Input((None, None, 3), name=name) for name in ("content", "style")]
    content = parts.encoded(inputs[0])[-1]
    style = parts.encoded(inputs[1])
    target = parts.adain([content, style[-1]])
    painted = parts.encoded(parts.decoder(target))

    pool = StylePooling(data_format="channels_last", dtype="float32", name="statistics")
    style_losses = [
        _squared_difference(pool(mine), pool(its)) for mine, its in zip(painted, style, strict=True)
    ]
    terms = {
        "content_loss": ops.mean(ops.square(painted[-1] - target), axis=(1, 2, 3)),
        "style_loss": sum(style_losses[1:], start=style_losses[0]),
    }
    return inputs, terms


def _squared_difference(statistics, target):
    """Mean over the channels, summed over the statistics: (N,) of two (N, C, 2)."""
    return ops.sum(ops.mean(ops.square(statistics - target), axis=1), axis=-1)
