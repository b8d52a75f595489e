"""Files that may come from anyone, read into memory and checked before Keras sees them."""

import io
import json
import os
import posixpath
import tempfile
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import h5py
import keras

from srm_keras.models.head import check_finite
from srm_keras.models.keras_files.allowed_classes import check_config
from srm_keras.support.files import check_no_lfs_pointer
from srm_keras.support.foreign import first_line


def read_archive(path: Path, limits: Mapping[str, int]) -> dict[str, bytes]:
    """Read a zip file that holds exactly the files of ``limits``, each within its size in bytes.

    Raises:
        ValueError: It is no zip file, is damaged, or holds another name, a name twice, or too much.
    """
    try:
        check_no_lfs_pointer("path", path)
        with zipfile.ZipFile(path) as archive:
            check_names((entry.filename for entry in archive.infolist()), limits, str(path))
            return {name: _read(archive, name, limits[name], str(path)) for name in limits}
    except (OSError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        raise ValueError(f"{path} is no whole zip file ({error!s:.200})") from None


def check_names(names: Iterable[str], expected: Iterable[str], origin: str) -> None:
    """Raise ``ValueError`` unless ``names`` are the ``expected`` ones, each once."""
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


_KINDS = "biuf"
_MOST_ENTRIES = 100_000


def check_weights(content: bytes) -> int:
    """Refuse an HDF5 file with more in it than groups and arrays of numbers.

    Links to other places, arrays that lie in other files, and arrays that are larger than the file
    (compressed ones, which can be of any size) are refused.

    Returns:
        The number of arrays, but for those of an optimizer.

    Raises:
        ValueError: It is no HDF5 file, is truncated, or has such an entry, which is named.
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


CONFIG = "config.json"
METADATA = "metadata.json"
WEIGHTS = "model.weights.h5"
NAMES = (CONFIG, METADATA, WEIGHTS)
LIMITS = {CONFIG: 16 * 2**20, METADATA: 2**16, WEIGHTS: 4 * 2**30}
"""Names of what Keras makes of a model, and how many bytes each may have."""


def network_of(parts: Mapping[str, bytes], origin: str) -> keras.Model:
    """Build the network that the files ``NAMES`` describe; nothing in them is run.

    Args:
        parts: Their contents.
        origin: What an error calls the whole.

    Returns:
        The network with its weights, not compiled.

    Raises:
        ValueError: A file is not what it should be, names a class that is not allowed, or holds
            weights that are not finite.
    """
    config = json_of(parts, CONFIG, origin)
    try:
        check_config(config)
        arrays = check_weights(parts[WEIGHTS])
    except ValueError as error:
        raise ValueError(f"{origin} is refused: {_told(error)}") from None
    try:
        model = keras.saving.deserialize_keras_object(
            {**config, "compile_config": None}, safe_mode=True
        )
        with tempfile.TemporaryDirectory() as folder:
            weights = Path(folder) / WEIGHTS
            weights.write_bytes(parts[WEIGHTS])
            model.load_weights(weights)
    except Exception as error:  # A wrong configuration makes layers raise anything.
        raise ValueError(f"{origin} is damaged: {first_line(error)}") from None
    if arrays != len(model.weights):  # Keras leaves some layers without weights as they are.
        raise ValueError(
            f"{origin} is damaged: {WEIGHTS} holds {arrays} arrays instead of {len(model.weights)}"
        )
    check_finite(model, origin)
    return model


def parts_of(model: keras.Model) -> dict[str, bytes]:
    """The contents of the files ``NAMES`` of a model, compiled or not.

    Raises:
        ValueError: It names a class that could not be loaded again, or has weights that are not
            finite.
    """
    check_finite(model, f"`model` {model.name!r}")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        model.save(path)
        found = read_archive(path, LIMITS)
    config = {**json.loads(found[CONFIG]), "compile_config": None}
    check_config(config)
    return {**found, CONFIG: json.dumps(config).encode()}


def json_of(parts: Mapping[str, bytes], name: str, origin: str) -> Any:
    """What the JSON file ``name`` holds; ``ValueError`` if it is none."""
    try:
        return json.loads(parts[name].decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{origin} is damaged: {name} is no JSON ({error})") from None


def _told(error: ValueError) -> str:
    text = str(error)
    return text if text.startswith("`") else f"{WEIGHTS} {text}"


def read_keras_file(path: str | os.PathLike) -> keras.Model:
    """Load a ``.keras`` file that holds a network of stock layers and those of this package.

    The file is read into memory and checked before Keras sees it: which files it holds, how large
    they are, which classes the configuration names, and that the weights are arrays.

    Args:
        path: Of the file.

    Returns:
        The network, not compiled.

    Raises:
        ValueError: It is no such file; it is damaged; it names another class, such as ``Lambda``.
    """
    file = Path(path)
    if file.suffix != ".keras" or not file.is_file():
        raise ValueError(f"`path` must be a .keras file that exists. Received: path={str(path)!r}")
    return network_of(read_archive(file, LIMITS), str(path))
