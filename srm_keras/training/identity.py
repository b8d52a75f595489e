"""What makes a run the run it is: what must be equal for it to go on, and what is said if not."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from absl import logging

from srm_keras.data import fingerprint
from srm_keras.files import as_json
from srm_keras.training.inputs import Examples

DATA = "data"
_PLACES = ("data_dir", "imagenet_dir", "path")


class Identity:
    """What a run depends on beside its weights: the recipe, the layout of its variables, its data.

    Where the data lie is no part of it, as long as they are known to be the same.

    Args:
        parts: Names and values, JSON; `recipe` is one of them, flat, by dotted paths.
        splits: The examples of every split.
        listing: The file with the names of the data's files, which the run was begun with.
    """

    def __init__(self, parts: Mapping[str, Any], splits: Mapping[str, Examples], listing: Path):
        found = {name: fingerprint.fingerprint(examples) for name, examples in splits.items()}
        self.value: dict[str, Any] = as_json({**parts, DATA: found})
        self._splits = splits
        self._listing = listing

    def difference(self, saved: Mapping[str, Any]) -> str:
        """What is not as in a saved identity, in a line; empty if nothing is."""
        known = DATA in saved
        if not known:
            logging.warning("The run was begun without a record of its data: taken to be the same")
        told = []
        for name, value in self.value.items():
            if name == "recipe":
                equal = same_fields(saved.get(name, {}), value, places=not known)
            else:
                equal = saved.get(name) == value or (name == DATA and not known)
            if not equal:
                told.append(self._data_of(saved) if name == DATA else f"its {name} differ")
        return "; ".join(told)

    def write_listing(self, anew: bool) -> None:
        """Writes the names of the data's files, to name those that change later."""
        if anew or not self._listing.is_file():
            fingerprint.write_listing(self._listing, self._splits)

    def _data_of(self, saved: Mapping[str, Any]) -> str:
        before = fingerprint.read_listing(self._listing)
        after = fingerprint.listed(self._splits) if before else {}
        return "data: " + fingerprint.differences(saved[DATA], self.value[DATA], before, after)


def is_place(field: str) -> bool:
    """Whether a field of a recipe, by its dotted path, says where data lie."""
    *groups, name = field.split(".")
    return name in _PLACES and groups[-1:] == ["options"]


def same_fields(one: Mapping[str, Any], other: Mapping[str, Any], places: bool) -> bool:
    """Whether two flat recipes are equal, with or without where the data lie."""
    if places:
        return one == other
    names = [name for name in (*one, *other) if not is_place(name)]
    return all(one.get(name) == other.get(name) for name in names)
