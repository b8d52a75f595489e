"""Times of several things, taken in turn and compared round by round."""

import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from srm_keras.validation import one_of, positive_int

Clock = Callable[[], float]
CLOCKS: tuple[Clock, Clock] = (time.perf_counter, time.thread_time)


@dataclass(frozen=True)
class Times:
    """Times of one step in ms, one a round, in the order they were taken.

    Attributes:
        wall: time that went by.
        cpu: time for which the calling thread was computing: without the time in which the machine
            did something else, but not without the effect of that on caches and clock rates.
    """

    wall: tuple[float, ...]
    cpu: tuple[float, ...]


@dataclass(frozen=True)
class Spread:
    """Median and quartiles: half of the values lie between ``lower`` and ``upper``."""

    median: float
    lower: float
    upper: float

    @classmethod
    def of(cls, values: tuple[float, ...]) -> "Spread":
        """Of any numbers, at least one; to four decimals."""
        lower, median, upper = np.quantile(values, [0.25, 0.5, 0.75])
        return cls(*(round(float(value), 4) for value in (median, lower, upper)))


def paired_times(
    steps: Mapping[str, Callable[[], Any]],
    rounds: int,
    warmup: int = 3,
    seed: int = 0,
    clocks: tuple[Clock, Clock] = CLOCKS,
) -> dict[str, Times]:
    """Time every step once a round, in an order that is drawn anew for each round.

    Args:
        steps: what to time, by name; each works in the calling thread alone.
        rounds: measured times of each step.
        warmup: rounds before the first measured one.
        seed: of the orders.
        clocks: of the wall and of the thread, each returns seconds.

    Raises:
        ValueError: no steps, or ``rounds`` or ``warmup`` is not a positive integer.
    """
    positive_int("rounds", rounds)
    positive_int("warmup", warmup)
    if not steps:
        raise ValueError("`steps` must name at least one step. Received: none")
    order = list(steps)
    shuffle = random.Random(seed).shuffle
    taken: dict[str, list[tuple[float, ...]]] = {name: [] for name in steps}
    for index in range(warmup + rounds):
        shuffle(order)
        for name in order:
            starts = [clock() for clock in clocks]
            steps[name]()
            ends = [clock() for clock in clocks]
            if index >= warmup:
                pairs = zip(starts, ends, strict=True)
                taken[name].append(tuple(1e3 * (end - start) for start, end in pairs))
    return {name: Times(*zip(*pairs, strict=True)) for name, pairs in taken.items()}


def round_ratios(times: Mapping[str, Times], name: str, baseline: str) -> Times:
    """Return the times of a step in units of the baseline's in the same round.

    What slows a whole round down leaves these ratios alone, unlike the ratio of two medians.

    Raises:
        ValueError: ``name`` or ``baseline`` is none of ``times``.
    """
    step, reference = (times[one_of("name", key, times)] for key in (name, baseline))
    return Times(_ratios(step.wall, reference.wall), _ratios(step.cpu, reference.cpu))


def _ratios(values: tuple[float, ...], references: tuple[float, ...]) -> tuple[float, ...]:
    return tuple(value / other for value, other in zip(values, references, strict=True))
