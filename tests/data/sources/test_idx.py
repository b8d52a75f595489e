"""IDX files that the test writes byte by byte."""

import gzip
import re
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from srm_keras.data.sources.fashion_mnist import read_idx


def idx_bytes(values: np.ndarray) -> bytes:
    lengths = struct.pack(f">{values.ndim}I", *values.shape)
    return bytes([0, 0, 8, values.ndim]) + lengths + values.tobytes()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("idx")


@given(hnp.arrays("uint8", hnp.array_shapes(min_dims=1, max_dims=3, max_side=9)))
def test_round_trip(folder, values):
    path = folder / "values.gz"
    path.write_bytes(gzip.compress(idx_bytes(values)))
    np.testing.assert_array_equal(read_idx(path, values.ndim), values)


GOOD = idx_bytes(np.arange(24, dtype="uint8").reshape(2, 3, 4))


@given(st.integers(0, len(GOOD) - 1))
def test_every_truncation_is_refused(folder, length):
    path = folder / "short.gz"
    path.write_bytes(gzip.compress(GOOD[:length]))
    with pytest.raises(ValueError, match=re.escape(str(path))):
        read_idx(path, 3)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (GOOD, "is not a complete gzip file"),
        (gzip.compress(GOOD)[:-12], "is not a complete gzip file"),
        (gzip.compress(GOOD)[:20] + b"\xff" * 20, "is not a complete gzip file"),
        (b"", "must begin with the IDX magic number 00000803"),
        (gzip.compress(GOOD + b"\0"), "must hold 24 values after its header, for the shape (2, 3"),
        (gzip.compress(b"\0\0\x0d\x03" + GOOD[4:]), "Received: 00000d03"),
        (gzip.compress(idx_bytes(np.zeros(3, "uint8"))), "Received: 00000801"),
    ],
    # Not of the bytes: gzip puts the time into them, and processes must collect the same names.
    ids=["plain", "cut", "overwritten", "empty", "longer", "another type", "another rank"],
)
def test_damage_is_named(folder, content, message):
    path = folder / "damaged.gz"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=re.escape(message)):
        read_idx(path, 3)
