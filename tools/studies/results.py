"""What the studies share: results that survive an interruption, and what stands on their pages."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from srm_keras.support.files import writable_file, write_csv, write_json, write_text
from srm_keras.support.tables import resumed_rows
from srm_keras.support.timing import Spread

Row = dict[str, Any]


class Results:
    """The rows of a study, kept in ``NAME.json``, ``NAME.csv`` and ``NAME.md``.

    Args:
        folder: Of the files; made if it is not there.
        name: Of the files.
        kind: What they are, for messages.
        head: What all rows have in common, such as settings and versions; stands in the JSON file.
        place: Names of the columns that no two rows have in common.
        page: Makes the Markdown page of what the JSON file holds.
        key: Of the rows in the JSON file.
        in_order: Whether rows are sorted by their places; else the newest is last.

    Attributes:
        head: As given.
        rows: Those that are known.

    Raises:
        ValueError: The folder cannot be made or written, or holds a study with another head, or a
            file ``NAME.json`` that is none.
    """

    def __init__(
        self,
        folder: Path,
        name: str,
        kind: str,
        head: Mapping[str, Any],
        place: Sequence[str],
        page: Callable[[dict[str, Any]], str],
        key: str = "rows",
        in_order: bool = False,
    ):
        self._files = [writable_file("out", folder / f"{name}.{end}") for end in _ENDS]
        self.head, self._place, self._page, self._key = dict(head), place, page, key
        self._in_order = in_order
        self.rows: list[Row] = resumed_rows(self._files[0], key, self.head, kind)

    def find(self, wanted: Mapping[str, Any]) -> Row | None:
        """The row with these values, unless it is unknown or failed."""
        for row in self.rows:
            if row.get("error") is None and wanted.items() <= row.items():
                return row
        return None

    def add(self, row: Row) -> None:
        """Keep ``row`` in place of one at the same place, and write all files."""
        self.rows = [old for old in self.rows if self._at(old) != self._at(row)] + [row]
        if self._in_order:
            self.rows.sort(key=self._at)
        study = {**self.head, self._key: self.rows}
        json, csv, markdown = self._files
        write_json(json, study)
        write_csv(csv, self.rows)
        write_text(markdown, self._page(study))

    def completed(self, keys: Iterable[Row], measure: Callable[[Row], Row]) -> Iterator[Row]:
        """Yield the row of each of ``keys``; those that are known are not measured again."""
        for key in keys:
            row = self.find(key)
            if row is None:
                row = key | measure(key)
                self.add(row)
            yield row

    def _at(self, row: Row) -> tuple[Any, ...]:
        return tuple(row[name] for name in self._place)


_ENDS = ("json", "csv", "md")


def values(rows: Iterable[Row], name: str) -> list[Any]:
    """The different values of a column, in order of appearance."""
    return list(dict.fromkeys(row[name] for row in rows))


def milliseconds(times: Sequence[float]) -> dict[str, float]:
    """Median, quartiles and extremes of times in ms, to 1 µs."""
    spread = Spread.of(times)
    numbers = {
        "median_ms": spread.median,
        "lower_quartile_ms": spread.lower,
        "upper_quartile_ms": spread.upper,
        "minimum_ms": min(times),
        "maximum_ms": max(times),
    }
    return {name: round(value, 3) for name, value in numbers.items()}


def fact_lines(report: Mapping[str, Any]) -> list[str]:
    """Lines of Markdown with the environment and the settings of a report."""
    facts = report["environment"] | report["settings"]
    return [f"- {name.replace('_', ' ')}: {_fact(value)}" for name, value in facts.items()]


def versions_text(packages: Mapping[str, str | None]) -> str:
    """``keras 3.15.0, numpy 2.4.6``."""
    return ", ".join(f"{name} {version}" for name, version in packages.items() if version)


def _fact(value: Any) -> str:
    if isinstance(value, Mapping):
        return versions_text(value)
    return (", ".join(value) or "none") if isinstance(value, list) else str(value)


def check_backend(what: str, needed: str = "tensorflow") -> None:
    """Raise ``ValueError`` unless Keras computes with the backend that is needed."""
    backend = keras.config.backend()
    if backend != needed:
        raise ValueError(
            f"The {what} needs KERAS_BACKEND={needed} in its environment. Received: {backend!r}"
        )


def random_statistics(
    model: keras.Model, scale: tuple[float, float] = (0.5, 1.5), biases: bool = False
) -> None:
    """Give normalizations random statistics, scales and shifts: new ones would hide differences.

    Args:
        model: Is changed.
        scale: Between which scales and variances are drawn.
        biases: Whether biases are drawn as well.
    """
    rng = np.random.default_rng(0)
    shifts = {"beta", "moving_mean"} | ({"bias"} if biases else set())
    for variable in model.variables:
        if variable.name in ("gamma", "moving_variance"):
            variable.assign(rng.uniform(*scale, variable.shape))
        elif variable.name in shifts:
            variable.assign(rng.normal(0.0, 0.2, variable.shape))
