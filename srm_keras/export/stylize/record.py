"""What a folder of painted pictures was made with, so that two kinds are not mixed in it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from srm_keras.files import read_json, write_json

RECORD = "stylize.json"


def check_record(folder: Path, settings: Mapping[str, Any]) -> None:
    """Raise ``ValueError`` if the pictures in ``folder`` were made with other settings."""
    try:
        earlier = read_json(folder / RECORD)
    except FileNotFoundError:
        return
    except (OSError, ValueError) as error:
        raise ValueError(f"{str(folder / RECORD)!r} cannot be read ({error})") from None
    differing = [name for name in settings if earlier.get(name) != settings[name]]
    if differing:
        raise ValueError(
            "`out` must be a folder without pictures made with other settings, or be overwritten. "
            f"Received: out={str(folder)!r} with another {' and another '.join(differing)}"
        )


def remove_record(folder: Path) -> None:
    """Forget what the pictures in ``folder`` were made with."""
    (folder / RECORD).unlink(missing_ok=True)


def write_record(folder: Path, settings: Mapping[str, Any]) -> None:
    """Note in ``folder`` what its pictures are made with."""
    write_json(folder / RECORD, dict(settings))
