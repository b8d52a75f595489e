"""Tables as text, Markdown, CSV and JSON."""

import csv
import io
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

Row = Mapping[str, Any]


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


def writable_file(name: str, path: str | os.PathLike) -> Path:
    """Return ``path`` as one that can be written, its folder made, before any work is done.

    Args:
        name: what to call the path in the error message.
        path: of a file that may exist.

    Raises:
        ValueError: ``path`` is a folder or lies in something that is none.
    """
    file = Path(path)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError(
            f"`{name}` must lie in a folder that exists or can be made ({error.strerror}). "
            f"Received: {name}={str(path)!r}"
        ) from None
    if file.is_dir():
        raise ValueError(f"`{name}` must be a file. Received: {name}={str(path)!r}, a folder")
    if not os.access(file.parent, os.W_OK):
        raise ValueError(
            f"`{name}` must lie in a folder that can be written. Received: {name}={str(path)!r}"
        )
    return file


def write_text(path: str | os.PathLike, text: str) -> None:
    """Write all of ``text`` to ``path``, or, on failure, leave what was there."""
    file = Path(path)
    temporary = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(file)
    finally:
        temporary.unlink(missing_ok=True)


def write_json(path: str | os.PathLike, value: Any) -> None:
    """Write ``value`` as indented JSON."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def write_csv(path: str | os.PathLike, rows: Sequence[Row]) -> None:
    """Write ``rows``, all with the keys of the first, under a line of column names."""
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(path, buffer.getvalue())
