"""From a file's bytes to pixels, and the check that this works."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from srm_keras.data.progress import with_progress

if TYPE_CHECKING:
    import tensorflow as tf


# The exact one of libjpeg's inverse cosine transforms, as browsers, phones and Pillow use it.
# TensorFlow's own default is off by 1 grey level on average, enough to change predictions.
DCT_METHOD = "INTEGER_ACCURATE"


def decode(content: "tf.Tensor") -> "tf.Tensor":
    """Decodes a JPEG or PNG file to RGB, a JPEG to the very pixels that Pillow makes of it.

    Grey values are repeated, palettes looked up, CMYK converted, alpha dropped, and of 16 bits
    the upper 8 kept. An EXIF orientation is ignored: pixels come as they are stored.

    Args:
        content: Scalar string, the file.

    Returns:
        uint8 (H, W, 3).
    """
    import tensorflow as tf

    image = tf.cond(
        tf.io.is_jpeg(content),
        lambda: tf.io.decode_jpeg(content, channels=3, dct_method=DCT_METHOD),
        lambda: tf.io.decode_image(content, channels=3, expand_animations=False),
    )
    return tf.ensure_shape(image, (None, None, 3))


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
    import tensorflow as tf

    try:
        height, width, _ = decode(tf.constant(path.read_bytes())).shape
    except tf.errors.OpError as error:
        return Verdict(None, error.message.split("}} ")[-1].split(" [Op:")[0])
    return Verdict((height, width))
