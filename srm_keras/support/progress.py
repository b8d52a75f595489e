"""Word of how far long work has come."""

import sys
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")

_SECONDS = 5


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
        if time.monotonic() - told > _SECONDS:
            told = time.monotonic()
            print(f"{done} {count:,} of {total:,} {noun}", file=sys.stderr, flush=True)
