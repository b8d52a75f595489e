"""Checks of arguments that raise one clear ``ValueError``."""

import difflib
from collections import Counter
from collections.abc import Iterable
from typing import Any

_SHOWN = 40


def positive_int(name: str, value: Any) -> int:
    """Return ``value`` if it is an integer of at least 1, else raise ``ValueError``."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError(f"`{name}` must be a positive integer. Received: {name}={value!r}")
    return value


def boolean(name: str, value: Any) -> bool:
    """Return ``value`` if it is True or False, else raise ``ValueError``."""
    if not isinstance(value, bool):
        raise ValueError(f"`{name}` must be True or False. Received: {name}={value!r}")
    return value


def one_of(name: str, value: Any, choices: Iterable[Any]) -> Any:
    """Return ``value`` if it is one of ``choices``, else raise ``ValueError`` with a hint."""
    choices = list(choices)
    if isinstance(value, str | int | type(None)) and value in choices:
        return value
    shown = str(choices)
    if len(choices) > _SHOWN:
        close = difflib.get_close_matches(str(value), map(str, choices), n=3, cutoff=0)
        shown = f"{len(choices)} names, such as {', '.join(close)}"
    raise ValueError(
        f"`{name}` must be one of {shown}. Received: {name}={value!r}{nearest(value, choices)}"
    )


def nearest(value: Any, choices: Iterable[Any]) -> str:
    """Return `` (did you mean 'x'?)`` for the choice most like ``value``, or an empty string."""
    close = difflib.get_close_matches(str(value), [str(choice) for choice in choices], n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""


def positive_number(name: str, value: Any) -> float:
    """Return ``value`` if it is a number above 0, else raise ``ValueError``."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
        raise ValueError(f"`{name}` must be a positive number. Received: {name}={value!r}")
    return value


def class_names(name: str, values: Any) -> tuple[str, ...]:
    """Return the names of classes as a tuple if each is a text of its own, else ``ValueError``."""
    names = () if isinstance(values, str | bytes) else tuple(values)
    wrong = [value for value in names if not isinstance(value, str)]
    if wrong or not names:
        received = f"{wrong[0]!r}, of type {type(wrong[0]).__name__}" if wrong else f"{values!r}"
        raise ValueError(f"`{name}` must be a list of names (str). Received: {received}")
    twice = next((value for value, count in Counter(names).items() if count > 1), None)
    if twice is not None:
        places = [place for place, value in enumerate(names) if value == twice]
        raise ValueError(
            f"`{name}` must have a name of its own for each class. Received: {twice!r} for the "
            f"classes {', '.join(map(str, places))}"
        )
    return names
