"""The files of a preset: which there are, their check sums, and reading them into memory."""

import hashlib
import json
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from srm_keras.models.keras_files import reading
from srm_keras.models.keras_files.reading import check_names, read_archive, too_large
from srm_keras.support.files import LFS_POINTER, is_lfs_pointer

PREPROCESSING = "preprocessing.json"
CLASSES = "classes.json"
CARD = "card.json"
README = "README.md"
MANIFEST = "manifest.json"
FORMAT = "srm-keras preset 1"

_SMALL = 4 * 2**20
_DESCRIPTIONS = dict.fromkeys((PREPROCESSING, CLASSES, CARD, README, MANIFEST), _SMALL)
LIMITS: Mapping[str, int] = {**reading.LIMITS, **_DESCRIPTIONS}
"""Every file of a preset, and how many bytes it may have."""

Parts = Mapping[str, bytes]


def sha256(content: bytes) -> str:
    """The SHA-256 of bytes, in hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()


def with_manifest(parts: Parts) -> dict[str, bytes]:
    """The files and, as ``manifest.json``, the size and SHA-256 of each."""
    files = {
        name: {"size_bytes": len(content), "sha256": sha256(content)}
        for name, content in sorted(parts.items())
    }
    manifest = json.dumps({"format": FORMAT, "files": files}, indent=2) + "\n"
    return {**parts, MANIFEST: manifest.encode()}


def is_preset(path: Path) -> bool:
    """Whether a folder or file says that it is a preset, be it whole or not."""
    try:
        manifest = json.loads(_content(path, MANIFEST))
    except (OSError, KeyError, ValueError, RuntimeError, zipfile.BadZipFile, zlib.error):
        return False
    return isinstance(manifest, Mapping) and manifest.get("format") == FORMAT


def read_preset_files(path: Path, origin: str) -> dict[str, bytes]:
    """Read all files of a preset, a folder or a zip file, and verify them.

    Args:
        path: Of the folder or the zip file.
        origin: What an error calls it.

    Raises:
        ValueError: It is no preset, holds other files, or a file is not the one that was saved.
    """
    if path.is_dir():
        parts = _read_folder(path, origin)
    elif path.is_file():
        parts = read_archive(path, LIMITS)
    else:
        raise ValueError(
            "`source` must be a folder or a .zip file that exists, or hf://USER/REPOSITORY. "
            f"Received: source={origin!r}"
        )
    _verify(parts, origin)
    return parts


def read_card(path: Path) -> Any:
    """Read the card of a preset, a folder or a zip file, and nothing else of it."""
    return json.loads(_content(path, CARD))


def _content(path: Path, name: str) -> bytes:
    if path.is_dir():
        return (path / name).read_bytes()
    with zipfile.ZipFile(path) as archive:
        return archive.read(name)


def _read_folder(folder: Path, origin: str) -> dict[str, bytes]:
    """The files of a folder; hidden ones, such as ``.gitattributes``, do not count."""
    entries = [path for path in folder.iterdir() if not path.name.startswith(".")]
    check_names((path.name for path in entries), LIMITS, origin)
    contents = {}
    for path in entries:
        if not path.is_file():
            raise ValueError(f"{origin} is refused: {path.name} is no file")
        if path.stat().st_size > LIMITS[path.name]:
            raise too_large(origin, path.name, path.stat().st_size, LIMITS[path.name])
        contents[path.name] = path.read_bytes()
        if is_lfs_pointer(contents[path.name]):
            raise ValueError(f"{origin} is refused: {path.name} is {LFS_POINTER}")
    return contents


def _verify(parts: Parts, origin: str) -> None:
    """Compare sizes and check sums with the manifest."""
    manifest = reading.json_of(parts, MANIFEST, origin)
    if not isinstance(manifest, Mapping) or manifest.get("format") != FORMAT:
        raise ValueError(f"{origin} is refused: {MANIFEST} must say format={FORMAT!r}")
    expected = json.loads(with_manifest(_without_manifest(parts))[MANIFEST])["files"]
    stated = manifest.get("files")
    if stated == expected:
        return
    stated = stated if isinstance(stated, Mapping) else {}
    changed = [name for name in expected if stated.get(name) != expected[name]]
    changed += [str(name) for name in stated if name not in expected]
    raise ValueError(
        f"{origin} is refused: not as it was saved, by size or SHA-256: {', '.join(changed)}"
    )


def _without_manifest(parts: Parts) -> Parts:
    return {name: content for name, content in parts.items() if name != MANIFEST}
