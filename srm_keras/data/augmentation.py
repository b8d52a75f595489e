"""What training does to images beyond crops and mirroring."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from srm_keras.data.checks import fraction
from srm_keras.validation import nearest


@dataclass(frozen=True)
class Augmentation:
    """RandAugment, MixUp and CutMix, each off by default.

    RandAugment (Cubuk et al. 2020) applies `rand_augment` operations, drawn for each image, to
    its cropped and mirrored form. MixUp (Zhang et al. 2018) and CutMix (Yun et al. 2019) blend an
    image and its label with those of its neighbour in the batch: examples 2j and 2j + 1 are each
    other's partners, with a weight of their own. As every epoch has a new random order, partners
    are random, and whatever happens to an example depends on the seed and its place alone. With
    both on, each image takes one of them with probability 1/2.

    Attributes:
        rand_augment: Number of operations an image, 0 for none; the paper's ImageNet setting is 2.
        magnitude: Their strength in [0, 1].
        mixup: α of the Beta(α, α) that an image's weight is drawn from, 0 for no MixUp; the
            paper's ImageNet setting is 0.2.
        cutmix: α of the Beta(α, α) that the part of the image that remains is drawn from, 0 for
            no CutMix; the paper's setting is 1.

    Raises:
        ValueError: If an attribute is out of its range.
    """

    rand_augment: int = 0
    magnitude: float = 0.5
    mixup: float = 0.0
    cutmix: float = 0.0

    def __post_init__(self) -> None:
        count = self.rand_augment
        if isinstance(count, bool) or not isinstance(count, int) or count < 0:
            raise ValueError(
                f"`rand_augment` must be an integer of at least 0. Received: rand_augment={count!r}"
            )
        fraction("magnitude", self.magnitude)
        for name in ("mixup", "cutmix"):
            value = getattr(self, name)
            number = isinstance(value, int | float) and not isinstance(value, bool)
            if not number or not 0 <= value < float("inf"):
                raise ValueError(
                    f"`{name}` must be a number of at least 0. Received: {name}={value!r}"
                )

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
        """The inverse of `to_dict`; raises `ValueError` for an unknown attribute."""
        known = [field.name for field in fields(cls)]
        for name in attributes:
            if name not in known:
                raise ValueError(
                    f"`Augmentation` has no attribute {name!r}{nearest(name, known)}; its "
                    f"attributes are {', '.join(known)}. Received: {dict(attributes)}"
                )
        return cls(**attributes)
