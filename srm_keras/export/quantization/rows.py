"""The rows of a quantization study in files, so that a study that was interrupted goes on."""

from pathlib import Path
from typing import Any

from srm_keras.export.quantization.report import study_markdown
from srm_keras.export.report import environment
from srm_keras.files import writable_file, write_csv, write_json, write_text
from srm_keras.resumed import resumed_rows

Row = dict[str, Any]
NAME = "quantization"
KEY = ("run", "form", "format", "in_float", "representative")


class Rows:
    """The rows that are known, kept in ``quantization.json``, ``.csv`` and ``.md``.

    Args:
        folder: of the files; made if it is not there.
        settings: what all rows have in common.

    Raises:
        ValueError: the folder cannot be made or written, or holds a study of other settings or
            package versions, or a file ``quantization.json`` that is none.
    """

    def __init__(self, folder: Path, settings: dict[str, Any]):
        self.files = {end: writable_file("out", folder / f"{NAME}.{end}") for end in _ENDS}
        self.head = {"settings": settings, "environment": environment()}
        self.rows: list[Row] = resumed_rows(
            self.files["json"], "rows", self.head, "quantization study"
        )

    def find(self, key: Row) -> Row | None:
        """The row with these values, unless it is unknown or failed."""
        for row in self.rows:
            if row["error"] is None and key.items() <= row.items():
                return row
        return None

    def add(self, row: Row) -> None:
        """Keep ``row`` in place of one of the same file of the same run, and write all files."""
        self.rows = [old for old in self.rows if _key(old) != _key(row)] + [row]
        study = {**self.head, "rows": self.rows}
        write_json(self.files["json"], study)
        write_csv(self.files["csv"], self.rows)
        write_text(self.files["md"], study_markdown(study))


_ENDS = ("json", "csv", "md")


def _key(row: Row) -> tuple[Any, ...]:
    return tuple(row[name] for name in KEY)
