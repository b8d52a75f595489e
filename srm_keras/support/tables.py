"""Tables as people read them, and tables that grow on disk."""

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from srm_keras.support.files import as_json, read_json


def text_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return an aligned table: first column to the left, the others to the right."""
    lines = [list(header), *map(list, rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    lines.insert(1, ["-" * width for width in widths])
    return "\n".join(
        "  ".join(
            cell.rjust(width) if index else cell.ljust(width)
            for index, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table: first column to the left, the others to the right."""
    alignment = ["---", *["---:"] * (len(header) - 1)]
    return "\n".join(f"| {' | '.join(line)} |" for line in [header, alignment, *rows])


def mean_and_std(values: Sequence[float]) -> tuple[float, float | None]:
    """Return the mean and the sample standard deviation, which a single value has not (None)."""
    return statistics.mean(values), statistics.stdev(values) if len(values) > 1 else None


def with_std(
    mean: float | None, std: float | None, mean_format: str = ".4f", std_format: str = ".4f"
) -> str:
    """Return ``mean ± std``, or the mean alone where one run has no deviation (None)."""
    return number(mean, mean_format) + ("" if std is None else f" ± {std:{std_format}}")


def number(value: float | None, form: str = ".4f") -> str:
    """Return a number as text, or a dash where there is none (None)."""
    return "–" if value is None else f"{value:{form}}"


def resumed_rows(path: Path, key: str, head: Mapping[str, Any], kind: str) -> list[dict[str, Any]]:
    """Return the rows in a JSON file that was made under the same conditions, none without a file.

    Args:
        path: Of the file: an object with the keys of ``head``, and the rows under ``key``.
        key: Of the rows.
        head: What all rows must have in common: settings, versions.
        kind: What the file is, for messages; its last word alone must name it too.

    Raises:
        ValueError: The file is of another kind, or of other conditions.
    """
    if not path.exists():
        return []
    try:
        content = read_json(path)
        found, rows = {name: content[name] for name in head}, content[key]
    except (ValueError, KeyError, TypeError):
        raise ValueError(
            f"`out` must not hold a {path.name} that is no {kind}. Received: {path}"
        ) from None
    for name, value in as_json(head).items():
        if found[name] != value:
            raise ValueError(
                f"`out` must be a folder without a {kind.split()[-1]} of another {name}: delete "
                f"{path} or choose another folder. "
                f"Received: one of {found[name]}; now it is {value}"
            )
    return rows
