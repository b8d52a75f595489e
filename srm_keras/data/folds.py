"""Parts of a data set that are held out: in turn, for cross-validation, or once."""

import warnings
from fractions import Fraction
from typing import Any

import numpy as np
from absl import logging

from srm_keras.data.examples import Examples
from srm_keras.data.sources.prepared import Records
from srm_keras.support.validation import as_int, one_of, positive_int

Fold = tuple[np.ndarray, np.ndarray]

BY = ("label", "group")
PARTS = 20


def k_folds(
    examples: Examples | Records, folds: int, by: str = "label", seed: int = 0
) -> list[Fold]:
    """Splits a data set ``folds`` times so that every example is held out exactly once.

    Each part has about the class proportions of the whole (scikit-learn's ``StratifiedKFold``).
    With ``by="group"`` the examples of a group stay together too (``StratifiedGroupKFold``), and
    the proportions are as close as that allows.

    Args:
        examples: The labelled examples.
        folds: Number of parts, at least 2.
        by: ``"label"``, or ``"group"`` where near-duplicates must not be on both sides.
        seed: Integer in [0, 2**32).

    Returns:
        For each fold, the positions of its training examples and of those it holds out, both
        int64 and in increasing order.

    Raises:
        ValueError: If an argument is wrong, every class has fewer examples than there are folds,
            there are fewer groups, or ``by="group"`` is asked of examples without groups.
    """
    one_of("by", by, BY)
    folds, seed = _checked_counts(examples, folds, by, seed)
    splits = _splits(examples, folds, by, seed)
    if any(len(held_out) == 0 for _, held_out in splits):
        raise ValueError(
            "`folds` must be fewer: the groups are so unequal that a part would be empty. "
            f"Received: folds={folds}"
        )
    return splits


def hold_out(
    examples: Examples | Records, fraction: float, by: str = "label", seed: int = 0
) -> Fold:
    """Splits a data set once, such as for validation: about a fraction of it is held out.

    The parts are those of ``k_folds``, of which so many are held out as come nearest to the
    fraction: one of 5 for 0.2, three of 20 for 0.15. There are at most 20, more where the fraction
    is smaller than one of them, and no more than groups or examples of the largest class.

    Args:
        examples: The labelled examples.
        fraction: A number in (0, 1).
        by: As for ``k_folds``.
        seed: Integer in [0, 2**32).

    Returns:
        The positions of the other examples and of those held out, both int64 and in increasing
        order, both not empty.

    Raises:
        ValueError: If an argument is wrong, there are too few examples or groups for the fraction,
            or ``by="group"`` is asked of examples without groups.
    """
    one_of("by", by, BY)
    if not (isinstance(fraction, float) and 0 < fraction < 1):
        raise ValueError(f"`fraction` must be a number in (0, 1). Received: fraction={fraction!r}")
    seed = _checked_seed(seed)
    units = _groups(examples) if by == "group" else examples.labels
    counts = np.unique(units, return_counts=True)[1]
    available = len(counts) if by == "group" else int(max(counts))
    finest = max(PARTS, round(1 / min(fraction, 1 - fraction)))
    share = Fraction(fraction).limit_denominator(min(finest, available))
    positions = np.arange(len(examples))
    held_out = np.zeros(0, "int64")
    if 0 < share < 1:
        parts = _splits(examples, share.denominator, by, seed)
        # At even distances: neighbours all have, or lack, the examples of a class that are left
        # over when it is dealt out.
        chosen = [k * len(parts) // share.numerator for k in range(share.numerator)]
        held_out = np.sort(np.concatenate([parts[k][1] for k in chosen]))
    if not 0 < len(held_out) < len(examples):
        kind = "groups" if by == "group" else "examples of the largest class"
        raise ValueError(
            f"`fraction` must hold out some and not all of {available} {kind}. "
            f"Received: fraction={fraction}"
        )
    train = np.setdiff1d(positions, held_out)
    _warn_of_missing(examples, {"training": train, "held-out": held_out})
    return train, held_out


def _warn_of_missing(examples: Examples | Records, parts: dict[str, np.ndarray]) -> None:
    classes = np.unique(examples.labels)
    for name, positions in parts.items():
        missing = np.setdiff1d(classes, examples.labels[positions])
        if len(missing):
            names = ", ".join(examples.info.class_names[k] for k in missing)
            logging.warning("Classes without %s examples: %s", name, names)


def _splits(examples: Examples | Records, folds: int, by: str, seed: int) -> list[Fold]:
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

    kind = StratifiedGroupKFold if by == "group" else StratifiedKFold
    splitter = kind(folds, shuffle=True, random_state=seed)
    groups = examples.groups if by == "group" else None
    everything = np.zeros(len(examples))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The least populated class", UserWarning)
        return [
            (train.astype("int64"), held_out.astype("int64"))
            for train, held_out in splitter.split(everything, examples.labels, groups)
        ]


def _checked_counts(
    examples: Examples | Records, folds: Any, by: str, seed: Any
) -> tuple[int, int]:
    folds = positive_int("folds", folds)
    if folds < 2:
        raise ValueError(f"`folds` must be at least 2. Received: folds={folds}")
    number = _checked_seed(seed)
    if by == "group":
        _check_groups(examples, folds)
    sizes = np.bincount(examples.labels, minlength=examples.info.num_classes)
    if max(sizes) < folds:
        raise ValueError(
            f"`folds` must be at most the size of the largest class, {max(sizes)}. "
            f"Received: folds={folds}"
        )
    rare = [examples.info.class_names[k] for k in np.flatnonzero(sizes < folds)]
    if rare:
        logging.warning("Classes with fewer than %d examples: %s", folds, ", ".join(rare))
    return folds, number


def _checked_seed(seed: Any) -> int:
    number = as_int(seed)
    if number is None or not 0 <= number < 2**32:
        raise ValueError(f"`seed` must be an integer in [0, 2**32). Received: seed={seed!r}")
    return number


def _groups(examples: Examples | Records) -> np.ndarray:
    if examples.groups is None:
        raise ValueError(
            f"`by` must be 'label' for {examples.info.name!r}, whose examples have no groups. "
            "Received: by='group'"
        )
    return examples.groups


def _check_groups(examples: Examples | Records, folds: int) -> None:
    count = len(np.unique(_groups(examples)))
    if count < folds:
        raise ValueError(
            f"`folds` must be at most the number of groups, {count}. Received: folds={folds}"
        )
