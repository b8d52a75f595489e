"""Smaller networks: channels whose gates are low on average are removed for good."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from srm_keras.analysis.gates.blocks import block_name
from srm_keras.analysis.gates.reading import channel_gates
from srm_keras.analysis.pruning.channel_removal import without_channels
from srm_keras.analysis.pruning.curve import pruned_channels

MeanGates = Mapping[str, np.ndarray]
Kept = dict[str, np.ndarray]


@dataclass(frozen=True)
class PrunedBlock:
    """What was removed from one residual branch.

    Attributes:
        block: name of the residual block.
        channels: of the branch before.
        kept: positions of the channels that are left.
        removed_gate: mean gate of those removed, None where there are none.
        kept_gate: mean gate of those kept, None where there are none.
    """

    block: str
    channels: int
    kept: tuple[int, ...]
    removed_gate: float | None
    kept_gate: float | None


@dataclass(frozen=True)
class StaticPruning:
    """What ``static_prune`` removed.

    Attributes:
        blocks: in network order.
        parameters_before: of the whole network, moving averages included.
        parameters: of the pruned network; ``…_scatter`` convolutions, which hold but zeros and
            ones, count too.
    """

    blocks: tuple[PrunedBlock, ...]
    parameters_before: int
    parameters: int

    @property
    def removed_share(self) -> float:
        """Share of the recalibrated channels that are gone, in [0, 1]."""
        return 1 - sum(len(b.kept) for b in self.blocks) / sum(b.channels for b in self.blocks)

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain lists and numbers, for JSON."""
        blocks = [{**vars(block), "kept": list(block.kept)} for block in self.blocks]
        sizes = {"parameters_before": self.parameters_before, "parameters": self.parameters}
        return {"removed_share": self.removed_share, **sizes, "blocks": blocks}


def static_prune(
    model: keras.Model,
    batches: Iterable[np.ndarray],
    ratio: float | None = None,
    threshold: float | None = None,
) -> tuple[keras.Model, StaticPruning]:
    """Remove the channels whose mean gate is lowest from the residual branches, for good.

    Unlike in ``pruning_curve`` the channels are the same for all images, and their filters are
    gone: see ``srm_keras.analysis.without_channels`` for what is left.

    Args:
        model: a functional network with recalibration layers at the ends of its residual branches.
            Not changed.
        batches: prepared images, (N, H, W, 3) each, over which gates are averaged; of the training
            data, as a rule.
        ratio: share of every branch's channels to remove, ``pruned_channels(ratio, C)`` of them,
            in [0, 1].
        threshold: remove all channels, of whatever branch, whose mean gate is lower. Give either
            this or ``ratio``.

    Returns:
        The smaller network, an ordinary functional model that can be trained on, saved, folded and
        exported; and what was removed.

    Raises:
        ValueError: not exactly one of ``ratio`` and ``threshold`` is given, or it is no number in
            [0, 1]; there are no images; or ``without_channels`` refuses the network.
    """
    check_amount(ratio, threshold)
    means = mean_gates(model, batches)
    kept = highest_channels(means, ratio, threshold)
    smaller = without_channels(model, kept)
    return smaller, static_pruning(model, smaller, means, kept)


def mean_gates(model: keras.Model, batches: Iterable[np.ndarray]) -> dict[str, np.ndarray]:
    """Return the gate of every channel averaged over the images: ``{layer name: float64 (C,)}``.

    Raises:
        ValueError: the model has no recalibration layer, or there are no images.
    """
    sums: dict[str, np.ndarray] = {}
    images = 0
    for gates in channel_gates(model, batches):
        sums = {
            name: sums.get(name, 0.0) + g.sum(axis=0, dtype="float64") for name, g in gates.items()
        }
        images += len(next(iter(gates.values())))
    if not images:
        raise ValueError("`batches` must hold at least one image. Received: none")
    return {name: total / images for name, total in sums.items()}


def highest_channels(
    means: MeanGates, ratio: float | None = None, threshold: float | None = None
) -> Kept:
    """Return the positions of the channels that ``static_prune`` keeps, ascending, by layer."""
    check_amount(ratio, threshold)
    if ratio is not None:
        return {
            name: np.sort(np.argsort(gates, kind="stable")[pruned_channels(ratio, len(gates)) :])
            for name, gates in means.items()
        }
    return {name: np.flatnonzero(gates >= threshold) for name, gates in means.items()}


def static_pruning(
    model: keras.Model, smaller: keras.Model, means: MeanGates, kept: Kept
) -> StaticPruning:
    """Return what was removed from ``model`` to make ``smaller``."""
    blocks = tuple(_pruned_block(name, means[name], kept[name]) for name in means)
    return StaticPruning(blocks, model.count_params(), smaller.count_params())


def check_amount(ratio: float | None, threshold: float | None) -> None:
    """Raise ``ValueError`` unless one of the two is given and lies in [0, 1]."""
    given = [value for value in (ratio, threshold) if value is not None]
    if len(given) != 1 or not 0 <= given[0] <= 1:
        raise ValueError(
            "Either `ratio` or `threshold` must be given, a number from 0 to 1. "
            f"Received: ratio={ratio}, threshold={threshold}"
        )


def _pruned_block(name: str, gates: np.ndarray, kept: np.ndarray) -> PrunedBlock:
    removed = np.delete(gates, kept)
    return PrunedBlock(
        block=block_name(name),
        channels=len(gates),
        kept=tuple(int(channel) for channel in kept),
        removed_gate=float(removed.mean()) if len(removed) else None,
        kept_gate=float(gates[kept].mean()) if len(kept) else None,
    )
