"""A trained stylization network as a function from picture to picture, and picture files."""

import math
import os
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import keras
import numpy as np
from PIL import Image, ImageOps

from srm_keras.data.sources.image_folder.layout import JPEG
from srm_keras.models.keras_files import read_keras_file
from srm_keras.models.surgery.functional import check_functional, twin
from srm_keras.support.files import check_no_lfs_pointer, write_atomically
from srm_keras.support.foreign import first_line
from srm_keras.support.validation import positive_int

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
        path: Of the file.
        size: The longest side of larger pictures is reduced to it.

    Raises:
        ValueError: The file cannot be read, with the reason.
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


LAST = "last.keras"
STYLE_SIZE = 512
"""Longest side of the style image of an AdaIN network; larger ones are reduced."""

MAX_PIXELS = 2048 * 2048
"""The largest image that is painted, unless the caller says otherwise.

A ``StylizationNet`` of 32 filters takes 850 bytes a pixel, so 3.6 GB for an image of that size.
"""


class Stylizer:
    """Paints pictures with a network.

    Args:
        model: A functional model, from float RGB images (N, H, W, 3) of values 0 to 255 to the
            same, not necessarily clipped; or an ``AdaINStylizer``, whose inputs are called
            content, style and strength. It is not changed.
        style: uint8 (H, W, 3), the painting of an AdaIN network; None for other networks.
        strength: Of the style, 0 to 1; 1 for other networks.
        max_pixels: The network takes memory in proportion to the pixels of an image, and larger
            images are refused.

    Raises:
        ValueError: The model has other inputs or outputs, ``style`` is missing or given to a
            network that has learned its style, or ``strength`` is out of range.

    Example:
        >>> stylizer = srm_keras.export.load_stylizer("runs/my_run")
        >>> painted = stylizer(photograph)
    """

    def __init__(
        self,
        model: keras.Model,
        style: np.ndarray | None = None,
        strength: float = 1.0,
        max_pixels: int = MAX_PIXELS,
    ):
        _check_model(model)
        _check_style(model, style, strength)
        self.model = model
        self.max_pixels = positive_int("max_pixels", max_pixels)
        self._constants: dict[str, np.ndarray] = {}
        if style is not None:
            style = resized(_checked(style, "style"), STYLE_SIZE)
            self._constants["style"] = style[None].astype("float32")
            self._constants["strength"] = np.array([strength], "float32")

    def __call__(self, image: np.ndarray) -> np.ndarray:
        """Return ``image`` painted, of the same size.

        Args:
            image: uint8 RGB (H, W, 3), of ``max_pixels`` at most.

        Returns:
            uint8 (H, W, 3), clipped and rounded.

        Raises:
            ValueError: ``image`` is no such picture, or the network makes another size of it.
        """
        _check_pixels(_checked(image, "image"), self.max_pixels)
        named = {**self._constants, self._image: image[None].astype("float32")}
        painted = np.asarray(self._run(keras.tree.map_structure(named.get, self._names)))[0]
        if painted.shape != image.shape:
            raise ValueError(
                "`model` must make an image of the size of its input. "
                f"Received: {image.shape} became {painted.shape}"
            )
        return np.rint(np.clip(painted, 0, 255)).astype("uint8")

    @cached_property
    def _names(self) -> Any:
        return input_names(self.model)

    @cached_property
    def _image(self) -> str:
        names = keras.tree.flatten(self._names)
        return "content" if "content" in names else names[0]

    @cached_property
    def _run(self) -> Callable[[Any], Any]:
        """Inference, made ready once for images of all sizes."""
        model = twin(self.model)
        if keras.config.backend() == "tensorflow":
            return _graph(model)
        model.compile(jit_compile=keras.config.backend() == "jax")
        return model.predict_on_batch


def load_stylizer(
    path: str | os.PathLike, style: np.ndarray | None = None, strength: float = 1.0
) -> Stylizer:
    """Return the stylizer of a run folder of ``train_stylizer`` or of a ``.keras`` file.

    Files are read as presets are: none that names other classes than stock layers and those of
    this package.

    Args:
        path: The folder, of which ``last.keras`` is taken, or the file.
        style: As for ``Stylizer``.
        strength: As for ``Stylizer``.

    Raises:
        ValueError: There is no such file, it cannot be loaded, or it is no stylization network.
    """
    return Stylizer(load_network(path), style, strength)


def load_network(path: str | os.PathLike) -> keras.Model:
    """Return the network that ``load_stylizer`` would use, unchecked; raises as that does."""
    return read_keras_file(network_file(path))


def network_file(path: str | os.PathLike) -> Path:
    """Return the file that ``load_stylizer`` reads; raises ``ValueError`` if there is none."""
    given = Path(path)
    file = given / LAST if given.is_dir() else given
    if not file.is_file() or file.suffix != ".keras":
        raise ValueError(
            f"`path` must be a run folder with {LAST}, or a file *.keras. "
            f"Received: path={str(path)!r}"
        )
    return file


def input_names(model: keras.Model) -> Any:
    """The names of the input layers, in the structure of ``model.input``."""
    inputs = [layer for layer in model.layers if isinstance(layer, keras.layers.InputLayer)]
    names = {id(layer.output): layer.name for layer in inputs}
    return keras.tree.map_structure(lambda x: names[id(x)], model.input)


def _graph(model: keras.Model) -> Callable[[Any], Any]:
    """One graph for all sizes: ``predict_on_batch`` would trace a new one for each."""
    import tensorflow as tf

    signature = keras.tree.map_structure(
        lambda x: tf.TensorSpec(x.shape, x.dtype, name=x.name), model.input
    )
    return tf.function(lambda x: model(x, training=False), input_signature=[signature])


def _check_model(model: keras.Model) -> None:
    check_functional(model)
    names = keras.tree.flatten(input_names(model))
    images = [x for x, name in zip(model.inputs, names, strict=True) if name != "strength"]
    shapes = [tuple(tensor.shape) for tensor in (*images, *model.outputs)]
    known = len(names) == 1 or sorted(names) == ["content", "strength", "style"]
    if not known or len(model.outputs) != 1 or any(len(s) != 4 or s[-1] != 3 for s in shapes):
        raise ValueError(
            "`model` must map images (N, H, W, 3), or content, style and strength, to images. "
            f"Received: {model.name!r} with inputs {names} and shapes {shapes}"
        )


def _check_style(model: keras.Model, style: np.ndarray | None, strength: float) -> None:
    learned = len(model.inputs) == 1
    if learned and (style is not None or strength != 1):
        raise ValueError(
            "`style` and `strength` are for AdaIN networks. "
            f"Received: both or one of them for {model.name!r}, which has learned one style"
        )
    if not learned and style is None:
        raise ValueError(f"`style` is needed: {model.name!r} is an AdaIN network. Received: None")
    if isinstance(strength, bool) or not 0 <= strength <= 1:
        raise ValueError(f"`strength` must be from 0 to 1. Received: strength={strength!r}")


def _checked(image: np.ndarray, name: str) -> np.ndarray:
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[-1] != 3 or not image.size:
        raise ValueError(
            f"`{name}` must be uint8 RGB (H, W, 3). Received: {image.dtype} {image.shape}"
        )
    return image


def _check_pixels(image: np.ndarray, limit: int) -> None:
    height, width, _ = image.shape
    if height * width <= limit:
        return
    size = largest_size(height, width, limit)
    raise ValueError(
        f"`image` must have at most {limit:,} pixels; with the longest side reduced to {size} "
        f"(--size={size}) it fits. Received: {width}×{height}, {height * width:,} pixels"
    )
