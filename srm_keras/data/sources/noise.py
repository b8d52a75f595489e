"""Noise in the shape of any data set, to try a recipe with."""

import hashlib

import numpy as np

from srm_keras.data.checks import seed_in_range
from srm_keras.data.examples import DatasetInfo, Examples
from srm_keras.support.validation import as_int, int_of_at_least_0, one_of, positive_int

GENERATOR_VERSION = "1.0.0"
"""Changes whenever an image would."""

_SPREAD = 40  # standard deviation of the noise about the class's colour


def load_examples(
    split: str,
    *,
    image_shape: int | tuple[int, int] = 32,
    channels: int = 3,
    classes: int = 10,
    domains: int = 0,
    groups: int = 0,
    examples: int = 64,
    seed: int = 0,
) -> Examples:
    """Makes a split of seeded noise about a colour that tells the class, so that it can be learnt.

    Args:
        split: Any name; each is another draw of the same classes.
        image_shape: Side of the images, or their height and width.
        channels: 1 or 3.
        classes: Number of classes; they take turns, ``k % classes``.
        domains: Number of domains, or 0 for none.
        groups: Number of groups, or 0 for none.
        examples: Number of examples.
        seed: Integer in [0, 2**63).

    Returns:
        The ``Examples``, in memory.

    Raises:
        ValueError: If an argument is out of its range.
    """
    height, width = _sides(image_shape)
    channels = one_of("channels", channels, (1, 3))
    classes = positive_int("classes", classes)
    examples = positive_int("examples", examples)
    if not isinstance(split, str) or not split:
        raise ValueError(f"`split` must be a name. Received: split={split!r}")
    labels = (np.arange(examples) % classes).astype("int32")
    colours = _generator(seed, "classes").uniform(64, 192, (classes, 1, 1, channels))
    noise = _generator(seed, f"split {split}").normal(
        0, _SPREAD, (examples, height, width, channels)
    )
    images = np.clip(colours[labels] + noise, 0, 255).astype("uint8")
    names = tuple(f"class_{k}" for k in range(classes))
    info = DatasetInfo("made_up", split, examples, classes, names, (height, width, channels))
    return Examples(
        images,
        labels,
        info,
        domains=_names("domain", domains, examples),
        groups=_names("group", groups, examples),
        drawn_by=f"made_up {GENERATOR_VERSION}",
    )


def _sides(image_shape: int | tuple[int, int]) -> tuple[int, int]:
    one = as_int(image_shape) is not None
    sides = (image_shape, image_shape) if one else tuple(image_shape)  # type: ignore[arg-type]
    if len(sides) != 2:
        raise ValueError(
            "`image_shape` must be a side or a height and a width. "
            f"Received: image_shape={image_shape!r}"
        )
    height, width = (positive_int("image_shape", side) for side in sides)
    return height, width


def _names(kind: str, number: int, examples: int) -> np.ndarray | None:
    """``kind_0``, ``kind_1``, …, each for a run of examples; None for number=0."""
    number = int_of_at_least_0(f"{kind}s", number)
    if number == 0:
        return None
    return np.array([f"{kind}_{k * number // examples}" for k in range(examples)])


def _generator(seed: int, purpose: str) -> np.random.Generator:
    """Random numbers that depend on the seed and the purpose alone."""
    digest = hashlib.blake2b(f"{seed_in_range(seed)}/{purpose}".encode(), digest_size=16).digest()
    return np.random.Generator(np.random.Philox(key=int.from_bytes(digest, "little")))
