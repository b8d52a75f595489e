"""Fair timing of several things on one machine: taken in turn, compared round by round."""

import dataclasses
import datetime
import os
import platform
import random
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from srm_keras.support.validation import one_of, positive_int

Step = Callable[[], Any]


@dataclasses.dataclass(frozen=True)
class Timing:
    """The measured times of one step.

    Attributes:
        milliseconds: one time a round, in the order they were taken.
    """

    milliseconds: tuple[float, ...]

    @property
    def median(self) -> float:
        """Median time in ms."""
        return statistics.median(self.milliseconds)

    @property
    def quartiles(self) -> tuple[float, float]:
        """Lower and upper quartile in ms: half of the rounds lie between them."""
        if len(self.milliseconds) == 1:
            return self.milliseconds[0], self.milliseconds[0]
        lower, _, upper = statistics.quantiles(self.milliseconds, n=4, method="inclusive")
        return lower, upper

    def to_dict(self) -> dict[str, float]:
        """Median, quartiles and extremes in ms, to 1 µs."""
        lower, upper = self.quartiles
        numbers = {
            "median_ms": self.median,
            "lower_quartile_ms": lower,
            "upper_quartile_ms": upper,
            "minimum_ms": min(self.milliseconds),
            "maximum_ms": max(self.milliseconds),
        }
        return {name: round(value, 3) for name, value in numbers.items()}


def interleave(
    steps: Mapping[str, Step],
    rounds: int = 20,
    warmup: int = 3,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, Timing]:
    """Time every step once a round, so that a busy spell of the machine hits all of them alike.

    Each round starts with another step: none always runs after the same neighbour.

    Args:
        steps: what to time, by name. A step must return only when its work is **done**: one that
            queues work for a device copies a number of each result to the host.
        rounds: times to measure each step.
        warmup: rounds before the first measured one, for tracing, compilation and caches.
        clock: returns seconds.

    Returns:
        The times of each step, in the order of ``steps``.

    Raises:
        ValueError: no steps, or ``rounds`` or ``warmup`` is not a positive integer.
    """
    positive_int("rounds", rounds)
    positive_int("warmup", warmup)
    if not steps:
        raise ValueError("`steps` must name at least one step. Received: none")
    names = list(steps)
    times: dict[str, list[float]] = {name: [] for name in names}
    for index in range(warmup + rounds):
        first = index % len(names)
        for name in names[first:] + names[:first]:
            start = clock()
            steps[name]()
            elapsed = clock() - start
            if index >= warmup:
                times[name].append(1e3 * elapsed)
    return {name: Timing(tuple(values)) for name, values in times.items()}


def ratios(timings: Mapping[str, Timing], baseline: str) -> dict[str, float]:
    """Return the median of each step in units of the baseline's, to three decimals.

    Raises:
        ValueError: ``baseline`` is none of ``timings``.
    """
    reference = timings[one_of("baseline", baseline, timings)].median
    return {name: round(timing.median / reference, 3) for name, timing in timings.items()}


def environment() -> dict[str, Any]:
    """Return what timings depend on: processor, cores, threads, versions; and the date (UTC)."""
    return {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "usable_cores": _usable_cores(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "keras": keras.version(),
        "backend": keras.backend.backend(),
        **(_tensorflow() if keras.backend.backend() == "tensorflow" else {}),
    }


def _tensorflow() -> dict[str, Any]:
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    return {
        "tensorflow": tf.__version__,
        "gpus": [tf.config.experimental.get_device_details(g).get("device_name") for g in gpus],
        "intra_op_threads": tf.config.threading.get_intra_op_parallelism_threads() or "default",
        "inter_op_threads": tf.config.threading.get_inter_op_parallelism_threads() or "default",
    }


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _usable_cores() -> int | None:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count()


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
