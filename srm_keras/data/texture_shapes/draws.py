"""Random numbers that are a pure function of what they are for.

An image's numbers come from a key, a hash of (seed, split, index); a number's place in that stream
comes from its name. So the order in which images are drawn does not matter, and a new quantity
never shifts the old ones.
"""

from __future__ import annotations

import zlib

import numpy as np

_GAMMA = np.uint64(0x9E3779B97F4A7C15)


def mix(values: np.ndarray) -> np.ndarray:
    """The finaliser of SplitMix64 (Steele, Lea and Flood 2014, section 3): uint64 to uint64."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def _fold(keys: np.ndarray, data: np.ndarray) -> np.ndarray:
    return mix(keys + (data + np.uint64(1)) * _GAMMA)


def stream_keys(seed: int, name: str, indices: np.ndarray) -> np.ndarray:
    """One uint64 key for each index of the stream `name`.

    Args:
        seed: integer in [0, 2**63).
        name: name of the stream.
        indices: (N,) non-negative integers.

    Returns:
        (N,) uint64 keys.
    """
    root = mix(np.array([seed], "uint64"))
    root = _fold(root, np.array([zlib.crc32(name.encode())], "uint64"))
    return _fold(root, np.asarray(indices).astype("uint64"))


class Draws:
    """Named uniform numbers for N images.

    Args:
        keys: (N,) uint64, one key an image.
    """

    def __init__(self, keys: np.ndarray):
        self.keys = keys

    def __len__(self) -> int:
        return len(self.keys)

    def __getitem__(self, which: np.ndarray | slice) -> Draws:
        return Draws(self.keys[which])

    def stream(self, name: str) -> Draws:
        """An independent set of numbers for the same images."""
        return Draws(self._child(name))

    def bits(self, name: str, shape: tuple[int, ...] = ()) -> np.ndarray:
        """(N, *shape) uint64."""
        slots = np.arange(np.prod(shape, dtype=int), dtype="uint64")
        return _fold(self._child(name)[:, None], slots).reshape(len(self), *shape)

    def _child(self, name: str) -> np.ndarray:
        return _fold(self.keys, np.array([zlib.crc32(name.encode())], "uint64"))

    def uniform(
        self, name: str, low: float = 0.0, high: float = 1.0, shape: tuple[int, ...] = ()
    ) -> np.ndarray:
        """(N, *shape) float32, uniform in [low, high)."""
        unit = (self.bits(name, shape) >> np.uint64(40)).astype("float32") * np.float32(2**-24)
        return np.float32(low) + np.float32(high - low) * unit

    def integers(self, name: str, count: int) -> np.ndarray:
        """(N,) int64, uniform in 0 … count - 1."""
        return (self.bits(name) >> np.uint64(32)).astype("int64") * count >> 32

    def normal(self, name: str, shape: tuple[int, ...] = ()) -> np.ndarray:
        """(N, *shape) float32 of mean 0 and variance 1, nearly normal.

        The sum of the four 16-bit quarters of one hash (Irwin-Hall): only exact operations, so
        every processor gives the same numbers.
        """
        quarters = self.bits(name, shape).view("uint16").reshape(len(self), *shape, 4)
        first, second, third, fourth = (quarters[..., k].astype("float32") for k in range(4))
        total = first + second + third + fourth
        return (total - np.float32(2 * 65535)) * np.float32(3**0.5 / 65536)
