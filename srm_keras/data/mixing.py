"""The arithmetic of MixUp and CutMix.

Both blend an image with its partner inside a box: MixUp's is the whole image, CutMix's is random
and shows the partner alone. The functions take an array namespace, NumPy's or
`tf.experimental.numpy`, so that TensorFlow's pipeline and the one without TensorFlow share them.
"""

from types import ModuleType
from typing import Any

Array = Any


def blend(
    xp: ModuleType, size: int, mixup_weight: Array, cutmix_weight: Array, draws: Array, cut: Array
) -> tuple[Array, Array, Array]:
    """How each image is blended with its partner.

    CutMix's box is that of Yun et al. 2019, Algorithm A1: its sides are √(1 − λ) of the image's,
    its centre is uniform, what lies outside of the image is cut off, and λ is corrected for that.

    Args:
        xp: Array namespace.
        size: Side of the images.
        mixup_weight: (...) λ of MixUp, the image's own weight.
        cutmix_weight: (...) λ of CutMix, the part of the image that remains.
        draws: (2, ...) uniform in [0, 1): the centre of CutMix's box.
        cut: (...) Booleans, whether CutMix applies and not MixUp.

    Returns:
        Own weight inside of the box (...), the box (4, ...) as top, bottom, left, right, and the
        weight of the own label (...).
    """
    side = xp.floor(size * xp.sqrt(1 - cutmix_weight))
    centres = xp.floor(draws * size)
    starts = xp.clip(centres - xp.floor(side / 2), 0, size)
    stops = xp.clip(centres - xp.floor(side / 2) + side, 0, size)
    box = xp.stack([starts[0], stops[0], starts[1], stops[1]])
    whole = xp.stack([0 * side, 0 * side + size, 0 * side, 0 * side + size])
    box = xp.where(cut, box, whole)
    inside = xp.where(cut, 0 * mixup_weight, mixup_weight)
    area = (box[1] - box[0]) * (box[3] - box[2]) / size**2
    return inside, box, 1 - (1 - inside) * area


def own_weights(xp: ModuleType, size: int, inside: Array, box: Array) -> Array:
    """The own image's weight at each pixel, (B, size, size, 1).

    Args:
        xp: Array namespace.
        size: Side of the images.
        inside: (B,) own weight inside of the box.
        box: (4, B) top, bottom, left, right.
    """
    top, bottom, left, right = (box[side][:, None] for side in range(4))
    places = xp.arange(size, dtype="float32")[None]
    rows = (places >= top) & (places < bottom)
    columns = (places >= left) & (places < right)
    mask = (rows[:, :, None] & columns[:, None, :])[..., None]
    return xp.where(mask, inside[:, None, None, None], 1 + 0 * inside[:, None, None, None])


def partners(batch_size: int) -> list[int]:
    """The partner of each example of a batch of even size: 2j and 2j + 1 are each other's."""
    return [place ^ 1 for place in range(batch_size)]
