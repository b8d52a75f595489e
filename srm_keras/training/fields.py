"""What a recipe consists of: tables of fields, the values that they accept, and checks.

A kind of training has a table of ``Field``s: ``defaults`` makes recipes from it, and ``checked``
checks them against it.
"""

import contextlib
import itertools
import math
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from numbers import Real
from typing import Any, TypeAlias

import numpy as np
from ml_collections import config_dict

from srm_keras.support.validation import nearest


def is_integer(value: Any) -> bool:
    """An integer that is no bool."""
    return isinstance(value, int) and not isinstance(value, bool)


def is_number(value: Any) -> bool:
    """A finite number that is no bool."""
    return isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)


def is_positive(value: Any) -> bool:
    """A number above 0."""
    return is_number(value) and value > 0


def is_at_least_0(value: Any) -> bool:
    """A number of at least 0."""
    return is_number(value) and value >= 0


def is_bool(value: Any) -> bool:
    """True or False."""
    return isinstance(value, bool)


def in_unit_interval(value: Any) -> bool:
    """A number in [0, 1)."""
    return is_number(value) and 0 <= value < 1


def optional(accepts: Callable[[Any], bool]) -> Callable[[Any], bool]:
    """A check for None, or what ``accepts`` takes."""
    return lambda value: value is None or accepts(value)


def integer(minimum: int) -> Callable[[Any], bool]:
    """A check for an integer of at least ``minimum``."""
    return lambda value: is_integer(value) and value >= minimum


def one_of(*names: str) -> Callable[[Any], bool]:
    """A check for one of ``names``."""
    return lambda value: isinstance(value, str) and value in names


def some_of(*names: str) -> Callable[[Any], bool]:
    """A check for a sequence of ``names``, none of them twice."""
    return lambda value: (
        are_names(value) and set(value) <= set(names) and len(set(value)) == len(value)
    )


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


def are_some_names(value: Any) -> bool:
    """A sequence of at least one name."""
    return are_names(value) and bool(value)


def are_factors(value: Any) -> bool:
    """Positive numbers by names."""
    if not is_mapping(value):
        return False
    return all(is_name(name) and is_positive(factor) for name, factor in value.items())


def is_mapping(value: Any) -> bool:
    """A mapping, or a part of a recipe."""
    return isinstance(value, Mapping | config_dict.ConfigDict)


def is_spec(value: Any) -> bool:
    """A recalibration spec that JSON can hold; its names are checked later."""
    if isinstance(value, tuple | list):
        return all(map(is_spec, value))
    return value is None or isinstance(value, str) or is_mapping(value)


@dataclass(frozen=True)
class Field:
    """One recipe field: its default and the values it accepts, in code and in words.

    ``mixed`` says that they are of several types; else a ``ConfigDict`` takes the default's alone.
    """

    default: Any
    accepts: Callable[[Any], bool]
    expected: str
    mixed: bool = False


Fields = Mapping[str, Field]

Recipe: TypeAlias = config_dict.ConfigDict | Mapping[str, Any]
"""What trainings take: any of the fields, those of a group (``learning_rate.base``) nested."""


def defaults(fields: Fields) -> config_dict.ConfigDict:
    """Returns a recipe with every field at its default."""
    recipe = config_dict.ConfigDict()
    for path, field in fields.items():
        *groups, leaf = path.split(".")
        holder = recipe
        for group in groups:
            if group not in holder:
                holder[group] = config_dict.ConfigDict()
            holder = holder[group]
        default = field.default
        if default is None or field.mixed:
            default = config_dict.FieldReference(default, field_type=object)
        holder[leaf] = config_dict.ConfigDict(default) if default == {} else default
    return recipe


def plain(value: Any) -> Any:
    """A recipe or a part of one in dicts, lists, tuples and numbers of Python; paths are text."""
    if isinstance(value, config_dict.ConfigDict):
        return plain(value.to_dict())
    if isinstance(value, Mapping):
        return {name: plain(part) for name, part in value.items()}
    if type(value) in (list, tuple):
        return type(value)(map(plain, value))
    if isinstance(value, np.generic):
        return value.item()
    return os.fspath(value) if isinstance(value, os.PathLike) else value


def checked(recipe: Recipe, fields: Fields) -> config_dict.ConfigDict:
    """Returns a copy of ``recipe`` in which every field stands, each checked by itself.

    Raises:
        ValueError: If a field is unknown, or its value is of the wrong type or out of range.
            The message names the field, the value and what would be right.
    """
    resolved = defaults(fields)
    for path, value in leaves_of(recipe, fields):
        if path not in fields:
            raise ValueError(_unknown_field(path, fields))
        check_value(path, value, fields)
        assign(resolved, path, value)
    return resolved


@contextlib.contextmanager
def naming(field: str) -> Iterator[None]:
    """Makes what is raised for wrong arguments inside a ``ValueError`` that names ``field``."""
    try:
        yield
    except (TypeError, ValueError) as error:
        raise ValueError(f"In `{field}`: {error}") from error


def leaves_of(recipe: Recipe, fields: Fields) -> list[tuple[str, Any]]:
    """Lists (dotted path, plain value) of the leaves; the open mappings count as leaves.

    Raises:
        ValueError: If ``recipe`` is no recipe.
    """
    if not is_mapping(recipe):
        raise ValueError(
            f"`recipe` must be an ml_collections ConfigDict or a mapping. Received: {recipe!r}"
        )
    return _leaves(plain(recipe), fields)


def _leaves(values: Mapping, fields: Fields, prefix: str = "") -> list[tuple[str, Any]]:
    leaves = []
    for key, value in values.items():
        path = f"{prefix}{key}"
        if isinstance(value, Mapping) and path not in fields:
            leaves += _leaves(value, fields, f"{path}.")
        else:
            leaves.append((path, value))
    return leaves


def check_value(path: str, value: Any, fields: Fields) -> None:
    """Raises ``ValueError`` if the field at ``path`` does not accept ``value``."""
    if not fields[path].accepts(value):
        raise ValueError(f"`{path}` must be {fields[path].expected}. Received: {path}={value!r}")


def assign(recipe: config_dict.ConfigDict, path: str, value: Any) -> None:
    """Sets the field at ``path``; a list becomes a tuple where the field holds one."""
    *groups, leaf = path.split(".")
    for group in groups:
        recipe = recipe[group]
    if isinstance(value, list) and isinstance(recipe[leaf], tuple):
        value = tuple(value)
    with recipe.ignore_type():
        recipe[leaf] = value


def _unknown_field(path: str, fields: Fields) -> str:
    hint = nearest(path, fields) or f" (the fields are: {', '.join(fields)})"
    return f"`{path}` is not a field of a recipe{hint}"
