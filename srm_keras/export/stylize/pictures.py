"""Picture files: upright pixels in, pixels out."""

import math
from bisect import bisect_right
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from srm_keras.data.image_folder.files import JPEG
from srm_keras.export.foreign import first_line
from srm_keras.files import check_no_lfs_pointer, write_atomically

OPAQUE = (*JPEG, ".bmp")
OPTIONS: dict[str, dict[str, Any]] = {
    **{suffix: {"quality": 95, "subsampling": 0} for suffix in JPEG},
    ".webp": {"quality": 95},
}
"""What Pillow is told for each format."""


@dataclass(frozen=True)
class Picture:
    """What a file shows.

    Attributes:
        pixels: uint8 RGB (H, W, 3).
        alpha: uint8 (H, W), the opacity; None for opaque pictures.
    """

    pixels: np.ndarray
    alpha: np.ndarray | None = None


def read_picture(path: Path, size: int | None = None) -> Picture:
    """Return the picture in a JPEG, PNG, BMP or WebP file, the first one of an animation.

    It is turned upright as its EXIF orientation says. Grey values are repeated, palettes looked
    up, CMYK converted, and of 16 bits the upper 8 kept; a colour profile is ignored.

    Args:
        path: of the file.
        size: the longest side of larger pictures is reduced to it.

    Raises:
        ValueError: the file cannot be read, with the reason.
    """
    try:
        check_no_lfs_pointer("images", path)
        with Image.open(path) as file:
            image = ImageOps.exif_transpose(file)
            image.load()
    except OSError as error:
        raise ValueError(error.strerror or _reason(error)) from None
    except Exception as error:  # Each of Pillow's decoders has its own.
        raise ValueError(_reason(error)) from None
    if image.has_transparency_data:
        pixels = _reduced(image.convert("RGBA"), size)
        return Picture(pixels[..., :3], pixels[..., 3])
    return Picture(_reduced(_eight_bits(image).convert("RGB"), size))


def write_picture(path: Path, picture: Picture) -> None:
    """Write a picture atomically, in the format that the suffix names, without metadata.

    JPEG and BMP files have no opacity. JPEG files keep colours at full resolution, for painted
    edges are bright.
    """
    image = Image.fromarray(picture.pixels)
    if picture.alpha is not None and path.suffix.lower() not in OPAQUE:
        image.putalpha(Image.fromarray(picture.alpha))
    options = OPTIONS.get(path.suffix.lower(), {})
    write_atomically(path, lambda temporary: image.save(temporary, **options))


def resized(pixels: np.ndarray, size: int) -> np.ndarray:
    """Return uint8 pixels (H, W, 3) with the longest side reduced to ``size`` if it is longer."""
    return _reduced(Image.fromarray(pixels), size)


def largest_size(height: int, width: int, pixels: int) -> int:
    """Return the longest side to which a larger image is reduced to have so many at most."""
    sizes = range(1, max(height, width) + 1)
    return bisect_right(sizes, pixels, key=lambda n: math.prod(_reduced_sides((height, width), n)))


def _reduced(image: Image.Image, size: int | None) -> np.ndarray:
    if size is not None and max(image.size) > size:
        image = image.resize(_reduced_sides(image.size, size), Image.Resampling.LANCZOS)
    return np.asarray(image)


def _reduced_sides(sides: tuple[int, int], size: int) -> tuple[int, int]:
    first, second = (max(round(side * size / max(sides)), 1) for side in sides)
    return first, second


def _eight_bits(image: Image.Image) -> Image.Image:
    """Grey values of 16 bits, which Pillow clips instead of scaling."""
    if not image.mode.startswith("I"):
        return image
    return Image.fromarray((np.asarray(image) // 256).clip(0, 255).astype("uint8"))


def _reason(error: Exception) -> str:
    text = first_line(error)
    return "it is no picture" if text.startswith("cannot identify") else text
