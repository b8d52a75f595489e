"""Cross-validation: parts of a data set that are held out in turn."""

import warnings
from typing import Any

import numpy as np
from absl import logging

from srm_keras.data.examples import Examples
from srm_keras.data.sources.prepared import Records
from srm_keras.support.validation import as_int, one_of, positive_int

Fold = tuple[np.ndarray, np.ndarray]


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
    one_of("by", by, ("label", "group"))
    folds, seed = _checked_counts(examples, folds, by, seed)
    splits = _splits(examples, folds, by, seed)
    if any(len(held_out) == 0 for _, held_out in splits):
        raise ValueError(
            "`folds` must be fewer: the groups are so unequal that a part would be empty. "
            f"Received: folds={folds}"
        )
    return splits


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
    number = as_int(seed)
    if number is None or not 0 <= number < 2**32:
        raise ValueError(f"`seed` must be an integer in [0, 2**32). Received: seed={seed!r}")
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


def _check_groups(examples: Examples | Records, folds: int) -> None:
    if examples.groups is None:
        raise ValueError(
            f"`by` must be 'label' for {examples.info.name!r}, whose examples have no groups. "
            "Received: by='group'"
        )
    count = len(np.unique(examples.groups))
    if count < folds:
        raise ValueError(
            f"`folds` must be at most the number of groups, {count}. Received: folds={folds}"
        )
