"""What may stand in the fields of a recipe: functions that say whether a value is accepted."""

import itertools
import math
from collections.abc import Callable, Mapping
from numbers import Real
from typing import Any

from ml_collections import config_dict


def is_integer(value: Any) -> bool:
    """An integer that is no bool."""
    return isinstance(value, int) and not isinstance(value, bool)


def is_number(value: Any) -> bool:
    """A finite number that is no bool."""
    return isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)


def is_bool(value: Any) -> bool:
    """True or False."""
    return isinstance(value, bool)


def in_unit_interval(value: Any) -> bool:
    """A number in [0, 1)."""
    return is_number(value) and 0 <= value < 1


def integer(minimum: int) -> Callable[[Any], bool]:
    """A check for an integer of at least `minimum`."""
    return lambda value: is_integer(value) and value >= minimum


def one_of(*names: str) -> Callable[[Any], bool]:
    """A check for one of `names`."""
    return lambda value: isinstance(value, str) and value in names


def is_name(value: Any) -> bool:
    """A string that is not empty."""
    return isinstance(value, str) and bool(value)


def are_names(value: Any) -> bool:
    """A sequence of names."""
    return isinstance(value, tuple | list) and all(map(is_name, value))


def are_milestones(value: Any) -> bool:
    """A sequence of increasing positive integers."""
    if not isinstance(value, tuple | list) or not all(is_integer(v) and v > 0 for v in value):
        return False
    return all(early < late for early, late in itertools.pairwise(value))


def are_parts(value: Any) -> bool:
    """None, or at least one name."""
    return value is None or (are_names(value) and bool(value))


def are_factors(value: Any) -> bool:
    """None, or positive numbers by names."""
    if value is None or not is_mapping(value):
        return value is None
    return all(is_name(name) and is_number(f) and f > 0 for name, f in value.items())


def is_mapping(value: Any) -> bool:
    """A mapping, or a part of a recipe."""
    return isinstance(value, Mapping | config_dict.ConfigDict)


def is_spec(value: Any) -> bool:
    """A recalibration spec that JSON can hold; its names are checked later."""
    if isinstance(value, tuple | list):
        return all(map(is_spec, value))
    return value is None or isinstance(value, str) or is_mapping(value)
