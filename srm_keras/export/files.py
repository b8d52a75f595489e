"""Files and folders that appear whole or not at all."""

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def temporary_sibling(path: Path) -> Iterator[Path]:
    """Yield a free, hidden path beside ``path``; what is still there at the end is deleted."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.stem}.{os.getpid()}{path.suffix}")
    try:
        yield temporary
    finally:
        _delete(temporary)


def replace(source: Path, path: Path) -> None:
    """Rename ``source`` to ``path``, in place of a file or folder that may be there."""
    if not path.is_dir():
        source.replace(path)
        return
    with temporary_sibling(path.with_name(f"{path.name}.old")) as old:
        path.replace(old)
        try:
            source.replace(path)
        except OSError:
            old.replace(path)
            raise


def write_text(path: Path, text: str) -> None:
    """Write ``text`` to ``path`` atomically, as UTF-8."""
    with temporary_sibling(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
        replace(temporary, path)


def size_in_bytes(path: Path) -> int:
    """Size of a file, or of all files in a folder."""
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    return sum(file.stat().st_size for file in files)


def _delete(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
