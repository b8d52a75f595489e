"""Heat maps laid over images."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import matplotlib
import numpy as np
from PIL import Image

from srm_keras.analysis.activations.pictures import Tile, image_grid, side_by_side, tile_side

_COLORS = matplotlib.colormaps["turbo"]
_STRENGTH = 0.6
_SIDE = 128
_ROWS = 6  # more of them are set beside each other
_ROW, _BESIDE = 36, 24  # pixels: the words beneath a row, the gap between columns of rows
_RIGHT, _WRONG = "#1a7f37", "#cf222e"


@dataclass(frozen=True, eq=False)
class Explained:
    """What a network says of N images, and where it sees it.

    Attributes:
        maps: (N, h, w) in [0, 1], of ``grad_cam``.
        shown: (N,) the class that each map is for.
        predicted: (N,) the class with the highest score.
        scores: (N,) the score of the predicted class.
    """

    maps: np.ndarray
    shown: np.ndarray
    predicted: np.ndarray
    scores: np.ndarray


def overlay(image: np.ndarray, heat: np.ndarray) -> np.ndarray:
    """Lay a heat map over a grey copy of an image, so that all colour is the map's.

    Args:
        image: uint8 (H, W, C) with 1 or 3 channels.
        heat: (h, w) in [0, 1], enlarged by linear interpolation.

    Returns:
        uint8 (H, W, 3); from blue (0) by green to red (1).

    Raises:
        ValueError: An array has another rank.
    """
    if image.ndim != 3 or heat.ndim != 2:
        raise ValueError(
            "`image` must be (H, W, C) and `heat` (h, w). "
            f"Received: shapes {image.shape} and {heat.shape}"
        )
    pixels = image[..., 0] if image.shape[-1] == 1 else image
    grey = np.asarray(Image.fromarray(pixels).convert("L"), "float32")[..., None]
    size = (image.shape[1], image.shape[0])
    smooth = Image.fromarray(heat.astype("float32")).resize(size, Image.Resampling.BILINEAR)
    colors = 255 * _COLORS(np.asarray(smooth).clip(0, 1))[..., :3]
    return np.rint((1 - _STRENGTH) * grey + _STRENGTH * colors).astype("uint8")


def heat_map_sheet(
    images: Sequence[np.ndarray],
    names: Sequence[str],
    explained: Mapping[str, Explained],
    classes: Sequence[str],
    title: str,
    labels: Sequence[int] | None = None,
) -> Image.Image:
    """Draw a row for every image: the image, then its heat map in each network.

    More than six rows are set in as many columns of rows as make the sheet about as wide as high.

    Beneath a heat map stand the predicted class and its score, green where it is right and red
    where it is wrong, and the class that the map is for if that is another one.

    Args:
        images: uint8 (H, W, C) each.
        names: The words beneath each image.
        explained: What each network says, by the network's name.
        classes: Their names.
        title: The words above.
        labels: True class of each image, where known.

    Returns:
        The picture, RGB.
    """
    side = tile_side(images[0], _SIDE)
    rows = [
        [
            Tile(image, (names[index],)),
            *(_tile(image, network, index, classes, labels) for network in explained.values()),
        ]
        for index, image in enumerate(images)
    ]
    height = _height(len(rows), side + _ROW, (1 + len(explained)) * side + _BESIDE)
    parts = [rows[start : start + height] for start in range(0, len(rows), height)]
    headings = ["image", *explained]
    return side_by_side([("", image_grid(part, side, columns=headings)) for part in parts], title)


def _height(count: int, row: int, width: int) -> int:
    """How many of so many rows stand below each other, each so high and wide."""
    if count <= _ROWS:
        return count
    columns = next(columns for columns in itertools.count(2) if count * row <= columns**2 * width)
    return -(-count // columns)


def _tile(
    image: np.ndarray,
    network: Explained,
    index: int,
    classes: Sequence[str],
    labels: Sequence[int] | None,
) -> Tile:
    predicted, shown = int(network.predicted[index]), int(network.shown[index])
    caption = [f"{classes[predicted]} {network.scores[index]:.2f}"]
    if shown != predicted:
        caption.append(f"map: {classes[shown]}")
    color = "black"
    if labels is not None:
        color = _RIGHT if predicted == labels[index] else _WRONG
    return Tile(overlay(image, network.maps[index]), tuple(caption), color)
