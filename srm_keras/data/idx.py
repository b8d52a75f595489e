"""The IDX file format of MNIST and its successors (LeCun, Cortes and Burges 1998)."""

import gzip
import zlib
from pathlib import Path

import numpy as np

_UNSIGNED_BYTE = 8


def read_idx(path: Path, rank: int) -> np.ndarray:
    """Reads a gzip-compressed IDX file of unsigned bytes.

    The file begins with the magic number 0, 0, 8 (unsigned bytes), rank, and one big-endian
    32-bit length for each dimension; the values follow.

    Args:
        path: The file.
        rank: Number of dimensions that it must have.

    Returns:
        A uint8 array.

    Raises:
        ValueError: If it is no complete gzip file, has another magic number, or holds another
            number of values than its lengths say.
    """
    try:
        with gzip.open(path) as file:
            content = file.read()
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise ValueError(f"{path} is not a complete gzip file: {error}") from error
    expected = bytes((0, 0, _UNSIGNED_BYTE, rank))
    if content[:4] != expected:
        raise ValueError(
            f"{path} must begin with the IDX magic number {expected.hex()}. "
            f"Received: {content[:4].hex()}"
        )
    start = 4 + 4 * rank
    if len(content) < start:
        raise ValueError(f"{path} ends inside its IDX header")
    shape = tuple(int(length) for length in np.frombuffer(content, ">u4", rank, offset=4))
    count = int(np.prod(shape, dtype="int64"))
    if len(content) - start != count:
        raise ValueError(
            f"{path} must hold {count} values after its header, for the shape {shape}. "
            f"Received: {len(content) - start}"
        )
    return np.frombuffer(content, "uint8", count, offset=start).reshape(shape)
