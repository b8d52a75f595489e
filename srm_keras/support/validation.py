"""Checks of arguments that raise one clear ``ValueError``."""

import difflib
import math
import numbers
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from typing import Any

import numpy as np

_SHOWN = 40


def as_int(value: Any) -> int | None:
    """Return an integer, NumPy's too, as an ``int``; None for anything else, booleans included."""
    is_integer = isinstance(value, numbers.Integral) and not isinstance(value, bool)
    return int(value) if is_integer else None


def as_float(value: Any) -> float | None:
    """Return a real number, NumPy's too, as a ``float``; None for all else, booleans included."""
    is_number = isinstance(value, numbers.Real) and not isinstance(value, bool)
    return float(value) if is_number else None


def positive_int(name: str, value: Any) -> int:
    """Return ``value`` as an ``int`` if it is an integer of at least 1, else ``ValueError``."""
    number = as_int(value)
    if number is None or number < 1:
        raise ValueError(f"`{name}` must be a positive integer. Received: {name}={value!r}")
    return number


def odd_int(name: str, value: Any) -> int:
    """Return ``value`` as an ``int`` if it is an odd positive integer, else ``ValueError``."""
    number = positive_int(name, value)
    if number % 2 == 0:
        raise ValueError(f"`{name}` must be odd. Received: {name}={value!r}")
    return number


def int_of_at_least_0(name: str, value: Any) -> int:
    """Return ``value`` as an ``int`` if it is an integer of at least 0, else ``ValueError``."""
    number = as_int(value)
    if number is None or number < 0:
        raise ValueError(f"`{name}` must be an integer of at least 0. Received: {name}={value!r}")
    return number


def boolean(name: str, value: Any) -> bool:
    """Return ``value`` as a ``bool`` if it is True or False, else raise ``ValueError``."""
    if not isinstance(value, bool | np.bool_):
        raise ValueError(f"`{name}` must be True or False. Received: {name}={value!r}")
    return bool(value)


def one_of(name: str, value: Any, choices: Iterable[Any]) -> Any:
    """Return the one of ``choices`` that ``value`` is, else raise ``ValueError`` with a hint."""
    choices = list(choices)
    known = as_int(value) is not None or isinstance(value, str | type(None))
    if known and value in choices:
        return choices[choices.index(value)]
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


def known_options(
    owner: str, given: Mapping[str, Any], known: Collection[str], kind: str = "option"
) -> None:
    """Raise ``ValueError`` unless every name in ``given`` is an option that ``owner`` has."""
    for option, value in given.items():
        if option not in known:
            raise ValueError(
                f"{owner} has no {kind} {option!r}; it has {', '.join(known)}. "
                f"Received: {option}={value!r}{nearest(option, known)}"
            )


def any_number(name: str, value: Any) -> float:
    """Return ``value`` as a ``float`` if it is a finite number, else raise ``ValueError``."""
    number = as_float(value)
    if number is None or not math.isfinite(number):
        raise ValueError(f"`{name}` must be a number. Received: {name}={value!r}")
    return number


def positive_number(name: str, value: Any) -> float:
    """Return ``value`` as a ``float`` if it is a finite number above 0, else ``ValueError``."""
    number = as_float(value)
    if number is None or not 0 < number < math.inf:
        raise ValueError(f"`{name}` must be a positive number. Received: {name}={value!r}")
    return number


def fraction(name: str, value: Any) -> float:
    """Return ``value`` as a ``float`` if it is a number in [0, 1], else raise ``ValueError``."""
    number = as_float(value)
    if number is None or not 0 <= number <= 1:
        raise ValueError(f"`{name}` must be a number in [0, 1]. Received: {name}={value!r}")
    return number


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
