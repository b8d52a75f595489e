"""What an AdaIN stylizer is trained for."""

import keras
from keras import ops

from srm_keras.layers.style_pooling import StylePooling
from srm_keras.models.adain import Parts


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
        stylizer: an ``AdaINStylizer``, also one that was loaded from a file. The objective shares
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
