"""What training does to images beyond crops and mirroring.

MixUp and CutMix blend an image with its partner inside a box: MixUp's is the whole image, CutMix's
is random and shows the partner alone. Random erasing fills a box with noise, and repeated
augmentation is an order of examples. The functions take an array namespace, NumPy's or
``tf.experimental.numpy``, so that TensorFlow's pipeline and the one without TensorFlow share them.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from types import ModuleType
from typing import Any

from srm_keras.support.validation import as_float, fraction, int_of_at_least_0, nearest


@dataclass(frozen=True)
class Augmentation:
    """RandAugment, random erasing, MixUp and CutMix, each off by default.

    RandAugment (Cubuk et al. 2020) applies ``rand_augment`` operations, drawn for each image, to
    its cropped and mirrored form. Random erasing (Zhong et al. 2020) fills a box of the
    standardized image with noise from N(0, 1), as timm's mode ``pixel`` does. MixUp (Zhang et al.
    2018) and CutMix (Yun et al. 2019) blend what came of an image and its label with those of its
    neighbour in the batch: examples 2j and 2j + 1 are each other's partners, with a weight of
    their own. As every epoch has a new random order, partners are random, and whatever happens to
    an example depends on the seed and its place alone. With both on, each image takes one of them
    with probability 1/2.

    Attributes:
        rand_augment: Number of operations an image, 0 for none; the paper's ImageNet setting is 2.
        magnitude: Their strength in [0, 1].
        mixup: α of the Beta(α, α) that an image's weight is drawn from, 0 for no MixUp; the
            paper's ImageNet setting is 0.2.
        cutmix: α of the Beta(α, α) that the part of the image that remains is drawn from, 0 for
            no CutMix; the paper's setting is 1.
        random_erasing: Probability that a box of an image is filled with noise, 0 for none; the
            paper's setting is 0.5.

    Raises:
        ValueError: If an attribute is out of its range.
    """

    rand_augment: int = 0
    magnitude: float = 0.5
    mixup: float = 0.0
    cutmix: float = 0.0
    random_erasing: float = 0.0

    def __post_init__(self) -> None:
        checked: dict[str, Any] = {
            "rand_augment": int_of_at_least_0("rand_augment", self.rand_augment),
            "magnitude": fraction("magnitude", self.magnitude),
            "random_erasing": fraction("random_erasing", self.random_erasing),
        }
        for name in ("mixup", "cutmix"):
            checked[name] = number = as_float(getattr(self, name))
            if number is None or not 0 <= number < float("inf"):
                raise ValueError(
                    f"`{name}` must be a number of at least 0. "
                    f"Received: {name}={getattr(self, name)!r}"
                )
        for name, value in checked.items():
            object.__setattr__(self, name, value)

    @property
    def mixes(self) -> bool:
        """Whether labels become vectors of probabilities: MixUp or CutMix is on."""
        return self.mixup > 0 or self.cutmix > 0

    @property
    def cutmix_chance(self) -> float:
        """Probability that an image takes CutMix and not MixUp."""
        return 0.0 if self.cutmix == 0 else 1.0 if self.mixup == 0 else 0.5

    def to_dict(self) -> dict[str, Any]:
        """The attributes, as JSON can hold them."""
        return asdict(self)

    @classmethod
    def from_dict(cls, attributes: Mapping[str, Any]) -> "Augmentation":
        """The inverse of ``to_dict``; raises ``ValueError`` for an unknown attribute."""
        known = [field.name for field in fields(cls)]
        for name in attributes:
            if name not in known:
                raise ValueError(
                    f"`Augmentation` has no attribute {name!r}{nearest(name, known)}; its "
                    f"attributes are {', '.join(known)}. Received: {dict(attributes)}"
                )
        return cls(**attributes)


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
    mask = within(xp, size, box)
    return xp.where(mask, inside[:, None, None, None], 1 + 0 * inside[:, None, None, None])


def within(xp: ModuleType, size: int, box: Array) -> Array:
    """Whether each pixel is inside of its image's box, Booleans (..., size, size, 1).

    Args:
        xp: Array namespace.
        size: Side of the images.
        box: (4, ...) top, bottom, left, right.
    """
    top, bottom, left, right = (box[side][..., None] for side in range(4))
    places = xp.arange(size, dtype="float32")
    rows = (places >= top) & (places < bottom)
    columns = (places >= left) & (places < right)
    return (rows[..., :, None] & columns[..., None, :])[..., None]


ERASED_AREA = (0.02, 1 / 3)
ERASED_RATIO = (0.3, 1 / 0.3)
ERASING_TRIES = 10


def erased_box(xp: ModuleType, size: int, draws: Array, erased: Array) -> Array:
    """The box of random erasing (Zhong et al. 2020, Algorithm 1; ranges as in timm).

    Its part of the image's area is uniform in [0.02, 1/3), the logarithm of height / width is
    uniform between those of 0.3 and 1/0.3, its place is uniform. The first of ten tries that is
    smaller than the image is taken; where none is, nothing is erased.

    Args:
        xp: Array namespace.
        size: Side of the images.
        draws: (4, ..., ``ERASING_TRIES``) uniform in [0, 1).
        erased: (...) Booleans, whether the image is to be erased at all.

    Returns:
        (4, ...) top, bottom, left, right, float32; all of them 0 where nothing is erased.
    """
    small, large = ERASED_AREA
    flat, high = (math.log(ratio) for ratio in ERASED_RATIO)
    area = (small + draws[0] * (large - small)) * size**2
    ratio = xp.exp(flat + draws[1] * (high - flat))
    height, width = (xp.floor(xp.sqrt(one) + 0.5) for one in (area * ratio, area / ratio))
    top = xp.floor(draws[2] * (size - height + 1))
    left = xp.floor(draws[3] * (size - width + 1))
    fits = (height < size) & (width < size) & (height > 0) & (width > 0) & erased[..., None]
    chosen = fits & (xp.cumsum(xp.where(fits, 1, 0), axis=-1) == 1)
    sides = xp.stack([top, top + height, left, left + width])
    return xp.sum(xp.where(chosen, sides, 0 * sides), axis=-1)


def partners(batch_size: int) -> list[int]:
    """The partner of each example of a batch of even size: 2j and 2j + 1 are each other's."""
    return [place ^ 1 for place in range(batch_size)]


def in_repeats(places: Array, batch_size: int, repeats: int) -> Array:
    """Which example of an epoch's order stands at each place, where each is repeated in its batch.

    A batch holds the ``d = batch_size / repeats`` next examples of the order, then the same again
    from the second one on and round, from the third one on, and so on. So partners are two examples
    where d > 1, each meets others, and the shards of a batch get different copies, as in timm.

    Args:
        places: (...) integers, places among the epoch's examples, those repeated counted.
        batch_size: Number of places in a batch.
        repeats: How often an example stands in its batch; 1 gives ``places``.

    Returns:
        (...) integers.
    """
    distinct = batch_size // repeats
    batch, within = places // batch_size, places % batch_size
    return batch * distinct + (within + within // distinct) % distinct
