"""The points of an image at which shapes and textures are evaluated."""

import numpy as np

SUPERSAMPLE = 3  # points a pixel in each direction, averaged: the anti-aliasing


class Canvas:
    """A square of `size * SUPERSAMPLE` points a side over [-1, 1] x [-1, 1], y upwards.

    Args:
        size: side of the image in pixels.
    """

    def __init__(self, size: int):
        points = size * SUPERSAMPLE
        centres = (np.arange(points, dtype="float32") + np.float32(0.5)) * np.float32(2 / points)
        self.size = size
        self.x = (centres - np.float32(1))[None, None, :]
        self.y = (np.float32(1) - centres)[None, :, None]

    def rotated(
        self,
        turns: np.ndarray,
        scale: np.ndarray,
        centre: tuple[np.ndarray, np.ndarray] | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """The points' coordinates in N frames, each turned, scaled and moved in its own way.

        Args:
            turns: (N,) rotation in turns, counter-clockwise.
            scale: (N,) what coordinates are multiplied by, or a pair of them, (2, N).
            centre: the frames' origins, two (N,) arrays. Default: the middle of the canvas.

        Returns:
            Two (N, points, points) float32 arrays.
        """
        angle = turns.astype("float64") * (2 * np.pi)
        cosine, sine = (f(angle).astype("float32")[:, None, None] for f in (np.cos, np.sin))
        first, second = np.broadcast_to(scale, (2, len(turns)))[..., None, None]
        x, y = self.x, self.y
        if centre is not None:
            x, y = x - centre[0][:, None, None], y - centre[1][:, None, None]
        return (
            x * (first * cosine) + y * (first * sine),
            y * (second * cosine) - x * (second * sine),
        )

    def average(self, values: np.ndarray) -> np.ndarray:
        """(N, points, points) to the (N, size, size) means over each pixel's points."""
        total = np.zeros((len(values), self.size, self.size), "float32")
        for row in range(SUPERSAMPLE):
            for column in range(SUPERSAMPLE):
                total += values[:, row::SUPERSAMPLE, column::SUPERSAMPLE]
        return total * np.float32(1 / SUPERSAMPLE**2)
