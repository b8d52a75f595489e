"""Files and folders that appear whole or not at all, and locks that end with their process."""

import contextlib
import csv
import errno
import hashlib
import io
import json
import math
import os
import re
import shutil
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path, PurePath
from typing import Any

from absl import logging

LFS_POINTER = "a pointer of Git LFS: run `git lfs pull` in its repository"


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


def write_atomically(path: str | os.PathLike, write: Callable[[Path], Any]) -> None:
    """Call ``write(temporary path)`` and rename the result to ``path``: all of it or none."""
    with temporary_sibling(Path(path)) as temporary:
        write(temporary)
        replace(temporary, Path(path))


def remove_leftovers(folder: Path, names: Iterable[str]) -> None:
    """Delete what killed processes left half written of files: ``.STEM.PID.SUFFIX`` beside them.

    Only who holds the lock on the files may: others may be writing them.

    Args:
        folder: Of the files.
        names: Of the files, below ``folder``; patterns such as ``checkpoints/step_*.npz``.
    """
    for name in map(PurePath, names):
        temporary = re.compile(rf"\..*\.\d+{re.escape(name.suffix)}")
        for path in list(folder.joinpath(name.parent).glob(f".{name.stem}.*{name.suffix}")):
            if temporary.fullmatch(path.name):
                _delete(path)


@contextlib.contextmanager
def plain_path(path: str | os.PathLike) -> Iterator[str]:
    """Yield ``path``, or a link to it that libraries take.

    TensorFlow looks for files by pattern and finds none in ``exp [final]``; libraries in C++ refuse
    names that are not UTF-8.
    """
    name = os.fspath(Path(path).absolute())
    if _is_plain(name):
        yield name
        return
    with tempfile.TemporaryDirectory() as folder:
        link = Path(folder) / f"link{Path(name).suffix}"
        link.symlink_to(name)
        yield os.fspath(link)


def in_utf8(text: str) -> str:
    r"""Return ``text`` with bytes of a file's name that are no UTF-8 written out: ``\udce9``."""
    return re.sub("[\udc80-\udcff]", lambda byte: f"\\u{ord(byte[0]):04x}", text)


def write_text(path: str | os.PathLike, text: str) -> None:
    r"""Write ``text`` to ``path`` atomically, as UTF-8.

    Bytes of a file's name that are none are written as ``\udce9``, which JSON reads back.
    """
    text = in_utf8(text)
    write_atomically(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))


def write_json(path: str | os.PathLike, value: Any) -> None:
    """Write ``value`` as ``json_text`` has it, indented, atomically."""
    write_text(path, json_text(value, indent=2) + "\n")


def as_json(value: Any) -> Any:
    """Return what ``read_json`` gives back of ``value``: lists for tuples, text for paths."""
    return json.loads(json_text(value))


def json_text(value: Any, indent: int | None = None) -> str:
    """Return ``value`` as JSON that every parser reads.

    NumPy's numbers and arrays are Python's; NaN and infinities, which JSON has no numbers for, are
    ``null``; anything else that JSON does not know is text.
    """
    return json.dumps(_plain(value), indent=indent, ensure_ascii=False, allow_nan=False)


def read_json(path: str | os.PathLike) -> Any:
    """Return what a JSON file holds.

    NaN and infinities in files of others, and of earlier versions, are None.
    """
    return json.loads(Path(path).read_text(encoding="utf-8"), parse_constant=lambda name: None)


def write_csv(
    path: str | os.PathLike, rows: Sequence[Mapping[str, Any]], names: Sequence[str] | None = None
) -> None:
    """Write ``rows`` under a line of column names, by default in order of first appearance."""
    buffer = io.StringIO()
    columns = names or list(dict.fromkeys(name for row in rows for name in row))
    writer = csv.DictWriter(buffer, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(path, buffer.getvalue())


def read_csv(path: str | os.PathLike) -> list[dict[str, str]]:
    """Return the rows of a CSV file, each a mapping from column to text."""
    with Path(path).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def writable_file(name: str, path: str | os.PathLike) -> Path:
    """Return ``path`` as one that can be written, its folder made, before any work is done.

    Args:
        name: What to call the path in the error message.
        path: Of a file that may exist.

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


def sha256_of(path: Path) -> str:
    """SHA-256 of what a file holds, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def size_in_bytes(path: Path) -> int:
    """Size of a file, or of all files in a folder."""
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    return sum(file.stat().st_size for file in files)


def _plain(value: Any) -> Any:
    """``value`` in what ``json_text`` makes of it."""
    if isinstance(value, Mapping):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if hasattr(value, "tolist"):
        return _plain(value.tolist())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, str | int) else str(value)


_LFS = b"version https://git-lfs.github.com/spec/"


def is_lfs_pointer(start: bytes) -> bool:
    """Whether a file that begins so is no more than Git LFS's note of where the file is."""
    return start.startswith(_LFS)


def check_no_lfs_pointer(name: str, path: str | os.PathLike) -> None:
    """Raise ``ValueError`` if a file, called ``name`` in the message, is a pointer of Git LFS."""
    with Path(path).open("rb") as file:
        if is_lfs_pointer(file.read(len(_LFS))):
            raise ValueError(
                f"`{name}` must be the file itself. Received: {str(path)!r}, {LFS_POINTER}"
            )


def _is_plain(name: str) -> bool:
    utf8 = os.fsencode(name).decode("utf-8", errors="ignore") == name
    return utf8 and not set(name).intersection("*?[]\\")


def _delete(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


if sys.platform == "win32":
    import msvcrt

    def _lock(descriptor: int) -> None:
        os.lseek(descriptor, 1 << 16, os.SEEK_SET)  # nobody can read what is locked
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def _lock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


LOCK = ".lock"
_TAKEN = (errno.EAGAIN, errno.EACCES, errno.EDEADLK)


@contextlib.contextmanager
def folder_lock(
    name: str, folder: Path, writes: Iterable[str] = (), lock: str = LOCK
) -> Iterator[None]:
    """Hold ``folder`` for this call alone: a second one, in this process too, is refused.

    The operating system keeps the lock, so it ends with the process, however that ends. Where the
    file system has no locks, this is logged and the call goes on without.

    Args:
        name: The argument that the folder is, for the error.
        folder: Made if it is not there; taken away again if nothing was put into it.
        writes: Names of files, below ``folder``, that only the holder of this lock writes; patterns
            such as ``checkpoints/step_*.npz``. What killed processes left half written of them is
            removed.
        lock: The name of the lock's own file, which is there as long as the lock is held.

    Raises:
        ValueError: If another call holds it; it says which process on which machine.
    """
    path = folder / lock
    made = [parent for parent in (path.parent, *path.parent.parents) if not parent.exists()]
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = _acquired(path, name, folder)
    try:
        remove_leftovers(folder, writes)
        yield
    finally:
        _release(path, descriptor)
        with contextlib.suppress(OSError):
            for parent in made:
                parent.rmdir()


def _acquired(path: Path, name: str, folder: Path) -> int:
    """A descriptor of the lock's file, which this process has locked and which is still there."""
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            _lock(descriptor)
        except OSError as error:
            if error.errno in _TAKEN:
                holder = os.pread(descriptor, 200, 0) if hasattr(os, "pread") else b""
                os.close(descriptor)
                raise _in_use(name, folder, holder.decode(errors="replace")) from None
            logging.warning("%s cannot be locked (%s): run one process on it", folder, error)
        if _is_at(path, descriptor):
            break
        os.close(descriptor)  # its holder removed it before this process had the lock
    os.ftruncate(descriptor, 0)
    os.lseek(descriptor, 0, os.SEEK_SET)
    since = time.strftime("%Y-%m-%d %H:%M:%S")
    os.write(descriptor, f"process {os.getpid()} on {socket.gethostname()} since {since}".encode())
    return descriptor


def _release(path: Path, descriptor: int) -> None:
    if sys.platform == "win32":
        os.close(descriptor)  # what is open cannot be removed there
    with contextlib.suppress(OSError):
        if sys.platform == "win32" or _is_at(path, descriptor):
            path.unlink()
    if sys.platform != "win32":
        os.close(descriptor)


def _is_at(path: Path, descriptor: int) -> bool:
    """Whether the open file is the one at ``path``."""
    with contextlib.suppress(FileNotFoundError):
        return os.path.samestat(os.fstat(descriptor), path.stat())
    return False


def _in_use(name: str, folder: Path, holder: str) -> ValueError:
    return ValueError(
        f"`{name}` is in use by {holder or 'another process'}: wait for it to end or choose "
        f"another folder. Received: {name}={str(folder)!r}"
    )
