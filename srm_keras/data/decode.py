"""From a file's bytes to pixels, and the check that this works."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from srm_keras.data.sources.image_folder.layout import KINDS
from srm_keras.support.files import LFS_POINTER, is_lfs_pointer
from srm_keras.support.timing import with_progress

if TYPE_CHECKING:
    import tensorflow as tf


# The exact one of libjpeg's inverse cosine transforms, as browsers, phones and Pillow use it.
# TensorFlow's own default is off by 1 grey level on average, enough to change predictions.
DCT_METHOD = "INTEGER_ACCURATE"


def decode(content: "tf.Tensor") -> "tf.Tensor":
    """Decodes a JPEG, PNG, BMP or WebP file to RGB, to the very pixels that Pillow makes of it.

    Grey values are repeated, palettes looked up, CMYK converted, alpha dropped, and of 16 bits
    the upper 8 kept. An EXIF orientation is ignored: pixels come as they are stored. Animated WebP
    files, and BMP files that are compressed or have fewer than 8 bits a pixel, are refused.

    Args:
        content: Scalar string, the file.

    Returns:
        uint8 (H, W, 3).
    """
    import tensorflow as tf

    kinds = [
        (tf.io.is_jpeg(content), lambda: _decoded_jpeg(content)),
        (_has(content, 0, b"BM"), lambda: _decoded_bmp(content)),
        (_has(content, 0, b"RIFF"), lambda: _decoded_webp(content)),
    ]
    image = tf.case(kinds, default=lambda: _decoded_other(content))
    return tf.ensure_shape(image, (None, None, 3))


def _decoded_jpeg(content: "tf.Tensor") -> "tf.Tensor":
    import tensorflow as tf

    return tf.io.decode_jpeg(content, channels=3, dct_method=DCT_METHOD)


def _decoded_other(content: "tf.Tensor") -> "tf.Tensor":
    import tensorflow as tf

    return tf.io.decode_image(content, channels=3, expand_animations=False)


def _decoded_bmp(content: "tf.Tensor") -> "tf.Tensor":
    """A BMP file with its palette, of which TensorFlow's decoder knows nothing."""
    import tensorflow as tf

    start, header = (_number(content, place, tf.int32) for place in (10, 14))
    bits, compression = _number(content, 28, tf.uint16), _number(content, 30, tf.int32)
    known = (bits >= 8) & (header >= 40) & (tf.equal(compression, 0) | (bits > 8))

    def by_palette() -> tf.Tensor:
        table = tf.strings.substr(content, 14 + header, start - 14 - header)
        colours = tf.reshape(tf.io.decode_raw(table, tf.uint8), (-1, 4))[:, 2::-1]
        return tf.gather(colours, tf.cast(tf.io.decode_bmp(content)[..., 0], tf.int32))

    message = "it is a BMP file of a kind that cannot be decoded"
    with tf.control_dependencies([tf.debugging.Assert(known, [message])]):
        return tf.cond(tf.equal(bits, 8), by_palette, lambda: _decoded_other(content))


def _decoded_webp(content: "tf.Tensor") -> "tf.Tensor":
    """A WebP file, less its alpha.

    TensorFlow 2.21 wants to be told whether there is one, and where it is to find out itself
    (``channels=0``) an animation without one makes it write beyond its memory.
    """
    import tensorflow as tf

    def flag(kind: bytes, place: int, bit: int) -> tf.Tensor:
        return _has(content, 12, kind) & ((_number(content, place, tf.uint8) & bit) > 0)

    still = ~flag(b"VP8X", 20, 2)
    alpha = flag(b"VP8X", 20, 16) | flag(b"VP8L", 24, 16)
    message = "it is an animated WebP file"
    with tf.control_dependencies([tf.debugging.Assert(still, [message])]):
        return tf.cond(
            alpha,
            lambda: tf.io.decode_image(content, channels=4, expand_animations=False)[..., :3],
            lambda: _decoded_other(content),
        )


def _has(content: "tf.Tensor", place: int, expected: bytes) -> "tf.Tensor":
    """Whether the bytes from ``place`` on are the expected ones; fails where there are none."""
    import tensorflow as tf

    return tf.equal(tf.strings.substr(content, place, len(expected)), expected)


def _number(content: "tf.Tensor", place: int, dtype: "tf.DType") -> "tf.Tensor":
    """The little-endian integer at a place of a file, as int32."""
    import tensorflow as tf

    value = tf.io.decode_raw(tf.strings.substr(content, place, dtype.size), dtype)
    return tf.cast(value[0], tf.int32)


def pixels(content: bytes) -> np.ndarray:
    """The pixels of an image file, uint8 (H, W, 3), as ``decode`` makes them.

    Raises:
        ValueError: If it cannot be decoded: the reason, in one line.
    """
    import tensorflow as tf

    if is_lfs_pointer(content):
        raise ValueError(f"it is {LFS_POINTER}")
    try:
        return decode(tf.constant(content)).numpy()
    except tf.errors.OpError as error:
        reason = error.message.split("}} ")[-1].split(" [Op:")[0].strip()
        raise ValueError(reason.split("\n")[0] or type(error).__name__) from None


def file_pixels(path: Path) -> np.ndarray:
    """``pixels`` of a file; a ``ValueError`` names it."""
    try:
        return pixels(path.read_bytes())
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ValueError(
            f"Images must be {KINDS} files that can be decoded ({reason}). Received: {path}"
        ) from None


@dataclass(frozen=True)
class Verdict:
    """What came of decoding a file.

    Attributes:
        size: (height, width), or None if the file is corrupt.
        error: Why it is corrupt, else an empty string.
    """

    size: tuple[int, int] | None
    error: str = ""


_verdicts: dict[tuple[str, int, int], Verdict] = {}  # of this process, by (path, bytes, time)


def verify(paths: Sequence[Path]) -> list[Verdict]:
    """Decodes every file once, in threads, with the decoder that the data set uses.

    Verdicts are remembered while the process lives, so that a file is decoded again only if it
    has changed. Progress goes to stderr every few seconds.

    Args:
        paths: The files.

    Returns:
        A verdict for each.
    """
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        verdicts = pool.map(_verdict, paths)
        return list(with_progress(verdicts, len(paths), "image_folder: checked", "files"))


def _verdict(path: Path) -> Verdict:
    try:
        status = path.stat()
        key = (str(path), status.st_size, status.st_mtime_ns)
        if key not in _verdicts:
            _verdicts[key] = _decoded(path)
        return _verdicts[key]
    except OSError as error:
        return Verdict(None, str(error))


def _decoded(path: Path) -> Verdict:
    try:
        height, width, _ = pixels(path.read_bytes()).shape
    except ValueError as error:
        return Verdict(None, str(error))
    return Verdict((height, width))
