"""Pictures, and files of them of many kinds."""

import io
import struct
import zlib

import numpy as np
from PIL import Image


def pixels(height, width, channels=3, seed=0):
    """A smooth picture, so that JPEG loses little."""
    rng = np.random.default_rng(seed)
    y, x, c = np.meshgrid(*map(np.arange, (height, width, channels)), indexing="ij")
    waves = np.sin(rng.uniform(0.1, 0.4) * y + rng.uniform(0.1, 0.4) * x + c)
    return (127 + 120 * waves).astype("uint8")


def encoded(image, form="PNG", **options):
    image = image if isinstance(image, Image.Image) else Image.fromarray(image)
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def sixteen_bits(image):
    """A PNG file with 16 bits a channel, whose upper 8 are ``image``; Pillow writes none."""
    height, width, _ = image.shape
    wide = (image.astype("uint16") * 256 + 200).astype(">u2")
    rows = b"".join(b"\0" + row.tobytes() for row in wide)

    header = struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0)
    body = _chunk(b"IHDR", header) + _chunk(b"IDAT", zlib.compress(rows)) + _chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def huge_png():
    """A small file that announces 60,000 × 60,000 pixels."""
    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + b"\0" * 100


def _chunk(kind, content):
    checked = kind + content
    return struct.pack(">I", len(content)) + checked + struct.pack(">I", zlib.crc32(checked))
