"""What may stand in a file of weights: plain arrays, and nothing that refers to another file."""

import io
import posixpath
from collections.abc import Iterator
from typing import Any

import h5py

_KINDS = "biuf"
_MOST_ENTRIES = 100_000


def check_weights(content: bytes) -> int:
    """Refuse an HDF5 file with more in it than groups and arrays of numbers.

    Links to other places, arrays that lie in other files, and arrays that are larger than the file
    (compressed ones, which can be of any size) are refused.

    Returns:
        The number of arrays, but for those of an optimizer.

    Raises:
        ValueError: it is no HDF5 file, is truncated, or has such an entry, which is named.
    """
    try:
        with h5py.File(io.BytesIO(content), "r") as file:
            sizes = dict(_array_sizes(file))
    except (OSError, RuntimeError, KeyError) as error:
        reason = str(error).strip().split("\n")[0]
        raise ValueError(f"is no whole HDF5 file ({reason})") from None
    size = sum(sizes.values())
    if size > len(content):
        raise ValueError(f"holds {size} bytes of arrays in {len(content)} bytes: it is compressed")
    return sum(not path.startswith("/optimizer/") for path in sizes)


def _array_sizes(root: h5py.Group) -> Iterator[tuple[str, int]]:
    """Path and number of bytes of every array in a group."""
    entries = 0
    waiting = [root]
    while waiting:
        group = waiting.pop()
        for name in group:
            entries += 1
            if entries > _MOST_ENTRIES:
                raise ValueError(f"has more than {_MOST_ENTRIES} entries")
            path = posixpath.join(group.name, name)
            if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                raise ValueError(f"has a link to another place at {path!r}")
            if isinstance(group[name], h5py.Group):
                waiting.append(group[name])
            else:
                yield path, _array_size(group[name], path)


def _array_size(entry: Any, path: str) -> int:
    plain = isinstance(entry, h5py.Dataset) and entry.dtype.kind in _KINDS
    if not plain or entry.external or entry.is_virtual:
        raise ValueError(f"has something other than an array of numbers at {path!r}")
    return entry.nbytes
