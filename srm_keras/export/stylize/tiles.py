"""How a long side is cut into pieces that overlap."""

from dataclasses import dataclass

from srm_keras.export.stylize.reach import Reach
from srm_keras.validation import positive_int


@dataclass(frozen=True)
class Span:
    """A piece of one side of an image, in pixels.

    Attributes:
        start, stop: what the network reads.
        first, last: what is kept of its output; the rest lacks neighbours.
    """

    start: int
    stop: int
    first: int
    last: int

    @property
    def read(self) -> slice:
        """What to cut out of the image."""
        return slice(self.start, self.stop)

    @property
    def kept(self) -> slice:
        """Where the result goes."""
        return slice(self.first, self.last)

    @property
    def valid(self) -> slice:
        """What of the network's output is the result."""
        return slice(self.first - self.start, self.last - self.start)


def smallest_tile(reach: Reach) -> int:
    """The smallest side of a piece of which something can be kept."""
    return 2 * reach.margin + reach.step


def check_tile(tile: int, reach: Reach) -> int:
    """Return ``tile``, or raise ``ValueError`` where a piece of that side shows nothing whole."""
    if positive_int("tile", tile) < smallest_tile(reach):
        raise ValueError(
            f"`tile` must be 0 or at least {smallest_tile(reach)}: the network looks at "
            f"{reach.margin} pixels on each side. Received: tile={tile}"
        )
    return tile


def spans(length: int, tile: int, reach: Reach) -> list[Span]:
    """Cut a side of ``length`` pixels into pieces of ``tile`` pixels at most.

    What is kept of the pieces covers the side once. Inside the image a piece has the margin of
    ``reach`` beyond what is kept of it, so that it is what the network makes of the whole side.
    Pieces begin and, inside the image, end at multiples of its step.
    """
    tile -= tile % reach.step
    pieces: list[Span] = []
    first = 0
    while first < length:
        start = max(first - reach.margin, 0)
        stop = min(start + tile, length)
        last = length if stop == length else stop - reach.margin
        pieces.append(Span(start, stop, first, last))
        first = last
    return pieces
