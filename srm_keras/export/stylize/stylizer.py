"""A trained stylization network as a function from picture to picture."""

import math
import os
from functools import cached_property
from pathlib import Path

import keras
import numpy as np

import srm_keras.models.adain
import srm_keras.models.stylization  # noqa: F401  for networks saved with their layers
from srm_keras.export.folding.flatten import flatten
from srm_keras.export.foreign import first_line
from srm_keras.export.stylize.held import SplitNetwork, split
from srm_keras.export.stylize.part import Part, input_names
from srm_keras.export.stylize.pictures import resized
from srm_keras.export.stylize.reach import Reach, reach
from srm_keras.export.stylize.tiles import check_tile, spans
from srm_keras.models.functional import check_functional, twin
from srm_keras.validation import positive_int

LAST = "last.keras"
STYLE_SIZE = 512
"""Longest side of the style image of an AdaIN network; larger ones are reduced."""

WHOLE_PIXELS = 2048 * 1024
"""Images of more pixels are cut into pieces unless the caller says otherwise.

An image of that size takes about 1.7 GB with a StylizationNet of 32 filters.
"""

TILE = 1024
"""Side of the pieces where the caller names none."""


class Stylizer:
    """Paints pictures with a network, whole or piece by piece.

    Args:
        model: a functional model, from float RGB images (N, H, W, 3) of values 0 to 255 to the
            same, not necessarily clipped; or an ``AdaINStylizer``, whose inputs are called
            content, style and strength. It is not changed.
        style: uint8 (H, W, 3), the painting of an AdaIN network; None for other networks.
        strength: of the style, 0 to 1; 1 for other networks.
        statistics_pixels: when an image is painted in pieces, statistics of the whole are taken
            from it reduced to so many pixels at most.

    Raises:
        ValueError: the model has other inputs or outputs, ``style`` is missing or given to a
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
        statistics_pixels: int = WHOLE_PIXELS,
    ):
        _check_model(model)
        _check_style(model, style, strength)
        self.model = model
        self.statistics_pixels = positive_int("statistics_pixels", statistics_pixels)
        self._constants: dict[str, np.ndarray] = {}
        if style is not None:
            style = resized(_checked(style, "style"), STYLE_SIZE)
            self._constants["style"] = style[None].astype("float32")
            self._constants["strength"] = np.array([strength], "float32")

    def __call__(self, image: np.ndarray, tile: int | None = None) -> np.ndarray:
        """Return ``image`` painted, of the same size.

        Args:
            image: uint8 RGB (H, W, 3).
            tile: side of the square pieces that the network takes at a time, margins included;
                0 for the whole image at once; None for the whole image up to ``WHOLE_PIXELS`` and
                pieces of ``TILE`` above that.

        Returns:
            uint8 (H, W, 3), clipped and rounded.

        Raises:
            ValueError: ``image`` is no such picture, the tile is too small for the network, or the
                network cannot be run piece by piece; then ``tile=0`` helps where memory allows.
        """
        height, width, _ = _checked(image, "image").shape
        if tile is None:
            tile = TILE if height * width > WHOLE_PIXELS else 0
        if not tile:
            return _pixels(self._paint(self._whole, image))
        self.check_tile(tile)
        if max(height, width) <= tile:
            return _pixels(self._paint(self._whole, image))
        return self._in_tiles(image, tile)

    def check_tile(self, tile: int | None) -> None:
        """Raise ``ValueError`` if the network cannot be run in pieces of that size."""
        if tile:
            check_tile(tile, self.reach)

    @cached_property
    def reach(self) -> Reach:
        """How far the network looks around a pixel, statistics of the whole image aside.

        Raises:
            ValueError: this cannot be told.
        """
        return reach(self._split.local)

    def _in_tiles(self, image: np.ndarray, tile: int) -> np.ndarray:
        """Take the statistics of the whole image once, then paint piece by piece with them."""
        self._hold(image)
        painted = np.empty_like(image)
        for rows in spans(image.shape[0], tile, self.reach):
            for columns in spans(image.shape[1], tile, self.reach):
                result = self._paint(self._local, image[rows.read, columns.read])
                painted[rows.kept, columns.kept] = _pixels(result[rows.valid, columns.valid])
        return painted

    def _hold(self, image: np.ndarray) -> None:
        measuring = self._measuring
        if measuring is None:
            return
        height, width, _ = image.shape
        factor = min(math.sqrt(self.statistics_pixels / (height * width)), 1.0)
        small = resized(image, max(round(max(height, width) * factor), 1))
        self._split.hold(measuring(self._named(measuring, small)))

    def _paint(self, part: Part, image: np.ndarray) -> np.ndarray:
        """Run the network or its local part; returns float32 (H, W, 3)."""
        painted = part(self._named(part, image))[0]
        if painted.shape != image.shape:
            raise ValueError(
                "`model` must make an image of the size of its input. "
                f"Received: {image.shape} became {painted.shape}"
            )
        return painted

    def _named(self, part: Part, image: np.ndarray) -> dict[str, np.ndarray]:
        return {**self._constants, part.image: image[None].astype("float32")}

    @cached_property
    def _whole(self) -> Part:
        return Part(twin(self.model))

    @cached_property
    def _split(self) -> SplitNetwork:
        return split(flatten(self.model))

    @cached_property
    def _local(self) -> Part:
        return Part(self._split.local)

    @cached_property
    def _measuring(self) -> Part | None:
        return self._split.measuring and Part(self._split.measuring)


def load_stylizer(
    path: str | os.PathLike, style: np.ndarray | None = None, strength: float = 1.0
) -> Stylizer:
    """Return the stylizer of a run folder of ``train.stylize`` or of a ``.keras`` file.

    Files are read in Keras' safe mode: none with a Lambda layer.

    Args:
        path: the folder, of which ``last.keras`` is taken, or the file.
        style: as for ``Stylizer``.
        strength: as for ``Stylizer``.

    Raises:
        ValueError: there is no such file, it cannot be loaded, or it is no stylization network.
    """
    return Stylizer(load_network(path), style, strength)


def load_network(path: str | os.PathLike) -> keras.Model:
    """Return the network that ``load_stylizer`` would use, unchecked; raises as that does."""
    file = network_file(path)
    try:
        return keras.saving.load_model(file, compile=False)
    except Exception as error:
        raise ValueError(
            f"`path` must be a network that can be loaded ({first_line(error)}). "
            f"Received: path={str(path)!r}"
        ) from error


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


def _pixels(image: np.ndarray) -> np.ndarray:
    return np.rint(np.clip(image, 0, 255)).astype("uint8")
