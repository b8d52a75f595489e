"""Tables that a command which was interrupted goes on with."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from srm_keras.files import as_json, read_json


def resumed_rows(path: Path, key: str, head: Mapping[str, Any], kind: str) -> list[dict[str, Any]]:
    """Return the rows in a JSON file that was made under the same conditions, none without a file.

    Args:
        path: of the file: an object with the keys of ``head``, and the rows under ``key``.
        key: of the rows.
        head: what all rows must have in common: settings, versions.
        kind: what the file is, for messages; its last word alone must name it too.

    Raises:
        ValueError: the file is of another kind, or of other conditions.
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
