"""Checks of the arguments that all makers of batches share."""

from typing import Any

from srm_keras.data.augmentation import Augmentation
from srm_keras.support.validation import as_int, int_of_at_least_0, positive_int


def check_part(
    batch_size: int, training: bool, start_step: Any, shard: Any
) -> tuple[int, tuple[int, int]]:
    """Returns ``start_step`` and ``shard`` if they name a part of the training stream.

    Raises:
        ValueError: If they do not.
    """
    start_step = int_of_at_least_0("start_step", start_step)
    pair = isinstance(shard, tuple | list) and len(shard) == 2
    index, count = map(as_int, shard) if pair else (None, None)
    if index is None or count is None:
        raise ValueError(f"`shard` must be two integers (i, n). Received: shard={shard!r}")
    if not 0 <= index < count:
        raise ValueError(f"`shard` must be (i, n) with 0 <= i < n. Received: shard={shard!r}")
    if batch_size % count:
        raise ValueError(
            f"`batch_size` must be a multiple of the number of shards, {count}. "
            f"Received: batch_size={batch_size}"
        )
    if not training and (start_step or count > 1):
        raise ValueError(
            "`start_step` and `shard` are for training. "
            f"Received: training=False, start_step={start_step}, shard={tuple(shard)}"
        )
    return start_step, (index, count)


def check_augmentation(
    augmentation: Any, num_classes: Any, training: bool, local_batch_size: int, examples: Any
) -> None:
    """Raises ``ValueError`` unless batches of that size, of these examples, can be augmented so."""
    if augmentation is None:
        return
    if not isinstance(augmentation, Augmentation):
        raise ValueError(
            f"`augmentation` must be an Augmentation or None. Received: {augmentation!r}"
        )
    if not training:
        raise ValueError("`augmentation` is for training. Received: training=False")
    if not augmentation.mixes:
        return
    positive_int("num_classes", num_classes)
    info = getattr(examples, "info", None)
    if info is not None and num_classes < info.num_classes:
        raise ValueError(
            f"`num_classes` must be at least that of the examples, {info.num_classes}. "
            f"Received: num_classes={num_classes}"
        )
    if local_batch_size % 2:
        raise ValueError(
            "`batch_size` must be even, in each shard, with MixUp or CutMix, which blend "
            f"neighbours. Received: {local_batch_size} examples"
        )


def check_enough(examples: int, batch_size: int) -> None:
    """Raises ``ValueError`` unless the examples fill a batch."""
    if examples < batch_size:
        raise ValueError(
            f"`batch_size` must be at most the number of examples, {examples}, in training. "
            f"Received: batch_size={batch_size}"
        )
