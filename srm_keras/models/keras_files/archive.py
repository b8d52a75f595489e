"""Reading zip files into memory: known names, bounded sizes, nothing is unpacked to disk."""

import zipfile
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path

from srm_keras.files import check_no_lfs_pointer


def read_archive(path: Path, limits: Mapping[str, int]) -> dict[str, bytes]:
    """Read a zip file that holds exactly the files of `limits`, each within its size in bytes.

    Raises:
        ValueError: it is no zip file, is damaged, or holds another name, a name twice, or too much.
    """
    try:
        check_no_lfs_pointer("path", path)
        with zipfile.ZipFile(path) as archive:
            check_names((entry.filename for entry in archive.infolist()), limits, str(path))
            return {name: _read(archive, name, limits[name], str(path)) for name in limits}
    except (OSError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        raise ValueError(f"{path} is no whole zip file ({error!s:.200})") from None


def check_names(names: Iterable[str], expected: Iterable[str], origin: str) -> None:
    """Raise `ValueError` unless `names` are the `expected` ones, each once."""
    found, expected = list(names), list(expected)
    foreign = [name for name in found if name not in expected]
    missing = [name for name in expected if name not in found]
    twice = [name for name in expected if found.count(name) > 1]
    problems = {"holds": foreign, "lacks": missing, "holds twice": twice}
    told = [f"{what} {', '.join(map(repr, who[:6]))}" for what, who in problems.items() if who]
    if told:
        raise ValueError(
            f"{origin} is refused: it must hold {', '.join(expected)} and nothing else. "
            f"It {' and '.join(told)}"
        )


def too_large(origin: str, name: str, size: int, limit: int) -> ValueError:
    """The error to raise for a file that is larger than any that is expected."""
    return ValueError(
        f"{origin} is refused: {name} must have at most {limit} bytes. Received: {size}"
    )


def _read(archive: zipfile.ZipFile, name: str, limit: int, origin: str) -> bytes:
    size = archive.getinfo(name).file_size
    if size > limit:
        raise too_large(origin, name, size, limit)
    with archive.open(name) as file:
        return file.read()  # No more than the size that the archive states.
