"""What painting in pieces changes, measured on one image."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from srm_keras.export.stylize.stylizer import Stylizer
from srm_keras.export.stylize.tiles import spans


@dataclass(frozen=True)
class TilingResult:
    """An image painted in pieces, beside the same painted whole.

    Attributes:
        statistics: where those of the whole image came from: "1/1", "1/2" …, the image with its
            sides reduced so far; or "each piece", every piece on its own.
        mean_difference: of the grey levels, 0 to 255.
        max_difference: likewise.
        seam_step: by how much the step between neighbouring pixels is larger on average across the
            borders of pieces than in the picture painted whole, in grey levels.
        pixels: the picture, uint8 (H, W, 3).
    """

    statistics: str
    mean_difference: float
    max_difference: int
    seam_step: float
    pixels: np.ndarray

    def numbers(self) -> dict[str, Any]:
        """All but the picture."""
        return {name: value for name, value in asdict(self).items() if name != "pixels"}


def study_tiling(
    stylizer: Stylizer, image: np.ndarray, tile: int, divisors: Sequence[int] = (1, 2, 4)
) -> Iterator[TilingResult]:
    """Paint an image in pieces, with statistics of the image reduced by each divisor and of none.

    Args:
        stylizer: of ``load_stylizer``.
        image: uint8 RGB (H, W, 3), small enough to be painted whole.
        tile: side of the pieces, smaller than the image.
        divisors: of the image's sides.

    Raises:
        ValueError: the tile is too small for the network or as large as the image.
    """
    stylizer.check_tile(tile)
    height, width, _ = image.shape
    if tile >= max(height, width):
        raise ValueError(
            f"`tile` must be smaller than the image. Received: tile={tile} for {height}x{width}"
        )
    whole = stylizer(image, tile=0)
    before = stylizer.statistics_pixels
    for divisor in divisors:
        stylizer.statistics_pixels = max(height * width // divisor**2, 1)
        yield _result(f"1/{divisor}", stylizer, whole, stylizer(image, tile), tile)
    stylizer.statistics_pixels = before
    yield _result("each piece", stylizer, whole, _each_by_itself(stylizer, image, tile), tile)


def _each_by_itself(stylizer: Stylizer, image: np.ndarray, tile: int) -> np.ndarray:
    painted = np.empty_like(image)
    for rows in spans(image.shape[0], tile, stylizer.reach):
        for columns in spans(image.shape[1], tile, stylizer.reach):
            result = stylizer(np.ascontiguousarray(image[rows.read, columns.read]), tile=0)
            painted[rows.kept, columns.kept] = result[rows.valid, columns.valid]
    return painted


def _result(
    name: str, stylizer: Stylizer, whole: np.ndarray, painted: np.ndarray, tile: int
) -> TilingResult:
    differences = np.abs(painted.astype("int16") - whole)
    steps = [_step_at_borders(each, stylizer, tile) for each in (painted, whole)]
    return TilingResult(
        name, float(differences.mean()), int(differences.max()), steps[0] - steps[1], painted
    )


def _step_at_borders(image: np.ndarray, stylizer: Stylizer, tile: int) -> float:
    """Mean difference between the pixels on the two sides of the borders of pieces."""
    steps = []
    for axis in (0, 1):
        along = np.moveaxis(image, axis, 0).astype("int16")
        firsts = [span.first for span in spans(len(along), tile, stylizer.reach)][1:]
        steps += [np.abs(along[first] - along[first - 1]).ravel() for first in firsts]
    return float(np.concatenate(steps).mean())
