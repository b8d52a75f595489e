"""Fair timing of several things, what the machine and its software are, and word of long work."""

import datetime
import functools
import importlib.metadata
import os
import platform
import random
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from srm_keras.support.validation import one_of, positive_int

Step = Callable[[], Any]
Clock = Callable[[], float]
CLOCKS: tuple[Clock, Clock] = (time.perf_counter, time.thread_time)
PACKAGES = ("srm-keras", "keras", "tensorflow", "ai-edge-litert", "numpy")


@dataclass(frozen=True)
class Spread:
    """Median and quartiles: half of the values lie between ``lower`` and ``upper``."""

    median: float
    lower: float
    upper: float

    @classmethod
    def of(cls, values: Iterable[float]) -> "Spread":
        """Of any numbers, at least one; to four decimals."""
        lower, median, upper = np.quantile(list(values), [0.25, 0.5, 0.75])
        return cls(*(round(float(value), 4) for value in (median, lower, upper)))

    def __truediv__(self, parts: float) -> "Spread":
        """Of one of so many equal parts of each value."""
        return Spread(self.median / parts, self.lower / parts, self.upper / parts)


@dataclass(frozen=True)
class Times:
    """Times of one step in ms, one a round, in the order they were taken.

    Attributes:
        wall: Time that went by.
        cpu: Time for which the calling thread was computing: without the time in which the machine
            did something else, but not without the effect of that on caches and clock rates.
    """

    wall: tuple[float, ...]
    cpu: tuple[float, ...]


def paired_times(
    steps: Mapping[str, Step],
    rounds: int,
    warmup: int = 3,
    seed: int = 0,
    clocks: tuple[Clock, Clock] = CLOCKS,
) -> dict[str, Times]:
    """Time every step once a round, so that a busy spell of the machine hits all of them alike.

    The order is drawn anew for each round: no step always runs after the same neighbour.

    Args:
        steps: What to time, by name. A step must return only when its work is **done**: one that
            queues work for a device copies a number of each result to the host.
        rounds: Measured times of each step.
        warmup: Rounds before the first measured one, for tracing, compilation and caches.
        seed: Of the orders.
        clocks: Of the wall and of the thread, each returns seconds.

    Returns:
        The times of each step, in the order of ``steps``. Those of the thread tell of steps that
        work in the calling thread alone.

    Raises:
        ValueError: No steps, or ``rounds`` or ``warmup`` is not a positive integer.
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


def versions(packages: Iterable[str] = PACKAGES) -> dict[str, str | None]:
    """Return the version of each package, None of one that is not installed.

    A package that came under another name (``keras`` as ``keras-nightly``) is found by its module.
    """
    return {name: _version(name) for name in packages}


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        others = _distributions().get(package)
        return importlib.metadata.version(others[0]) if others else None


@functools.cache
def _distributions() -> Mapping[str, list[str]]:
    return importlib.metadata.packages_distributions()


def environment(packages: Iterable[str] = PACKAGES) -> dict[str, Any]:
    """Return what results depend on: versions of packages and Python, platform, processors."""
    return {
        "packages": versions(packages),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processors": os.cpu_count(),
    }


def timing_environment() -> dict[str, Any]:
    """Return ``environment()`` and what times depend on besides: processor, threads, the date."""
    import keras

    backend = keras.config.backend()
    return {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "processor": _processor(),
        "usable_processors": _usable_processors(),
        "backend": backend,
        **(_tensorflow() if backend == "tensorflow" else {}),
        **environment(),
    }


def _tensorflow() -> dict[str, Any]:
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    return {
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


def _usable_processors() -> int | None:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count()


T = TypeVar("T")

_TELL_SECONDS = 5


def with_progress(items: Iterable[T], total: int, done: str, noun: str) -> Iterator[T]:
    """Passes ``items`` on and every few seconds tells stderr how many there were.

    Args:
        items: Whatever is worked on.
        total: How many there are.
        done: What was done with each, as in "image_folder: checked".
        noun: What they are, as in "files".
    """
    told = time.monotonic()
    for count, item in enumerate(items, start=1):
        yield item
        if time.monotonic() - told > _TELL_SECONDS:
            told = time.monotonic()
            print(f"{done} {count:,} of {total:,} {noun}", file=sys.stderr, flush=True)
