"""A lock on a folder, which a process that is gone does not keep."""

import contextlib
import errno
import os
import socket
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from absl import logging

from srm_keras.support.files import remove_leftovers

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
