"""What all figures of the package share: one style, and room for every word.

A figure is made by ``new_figure``; words that a user chose (titles, labels of networks, names of
blocks) are wrapped to the room there is, and the figure grows by what they take.
"""

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal

import matplotlib
from absl import logging
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.legend import Legend
from matplotlib.lines import Line2D

from srm_keras.support.files import write_atomically

# Okabe and Ito's colours, told apart by colour-blind readers too.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
_MANY_COLORS = matplotlib.colormaps["turbo"]
_DPI = 120
_TITLE_SIZE = 12
_LEGEND_SIZE = 9
_GRID = "#dddddd"


def group_colors(count: int) -> list:
    """A colour for each of ``count`` groups: those of ``PALETTE``, or as many as are needed."""
    if count <= len(PALETTE):
        return list(PALETTE[:count])
    return [_MANY_COLORS(index / (count - 1)) for index in range(count)]


def new_figure(width: float, height: float, title: str = "") -> Figure:
    """An empty figure of ``width`` inches, as high as ``height`` and the title's lines."""
    figure = Figure((width, height), dpi=_DPI, layout="constrained")
    FigureCanvasAgg(figure)
    if title:
        lines = wrapped_label(title, 0.95 * width, _TITLE_SIZE)
        figure.suptitle(lines, fontsize=_TITLE_SIZE)
        grow(figure, lines.count("\n") * 1.3 * _TITLE_SIZE / 72)
    return figure


def plain(
    axes: Axes,
    grid: Literal["both", "x", "y"] = "both",
    which: Literal["major", "both"] = "major",
) -> None:
    """The style of all axes with numbers: a light grid behind the data, no frame."""
    axes.grid(axis=grid, which=which, color=_GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def legend_below(figure: Figure, handles: Sequence[Artist], labels: Sequence[str]) -> Legend:
    """A legend under the axes, in as many columns as fit; the figure grows by its height."""
    width = figure.get_figwidth()
    wrapped = [wrapped_label(label, 0.8 * width, _LEGEND_SIZE) for label in labels]
    entry = max(text_width(label, _LEGEND_SIZE) for label in wrapped) + 5 * _LEGEND_SIZE / 72
    columns = min(len(wrapped), max(1, int(0.95 * width / entry)))
    legend = figure.legend(
        handles,
        wrapped,
        loc="outside lower center",
        ncols=columns,
        fontsize=_LEGEND_SIZE,
        frameon=False,
    )
    grow(figure, height_of(figure, legend))
    return legend


def name_ticks(
    figure: Figure, row: Sequence[Axes], names: Sequence[str], width: float, size: float = 10
) -> None:
    """Name the places 0, 1, … of the horizontal axes, upright where they would touch.

    Args:
        figure: Made by ``new_figure``.
        row: Axes beside each other in it.
        names: One for each place.
        width: Of each of the axes in inches.
        size: Of the letters, in points.
    """
    longest = max(text_width(name, size) for name in names)
    turned = longest > 0.9 * width / len(names)
    places = range(len(names))
    labels = [literal(name) for name in names]
    for axes in row:
        axes.set_xticks(places, labels, rotation=90 if turned else 0, fontsize=size)
    if turned:
        grow(figure, longest)


def line(color, style: Any = "-", width: float = 1.8) -> Line2D:
    """A line for a legend."""
    return Line2D([], [], color=color, linestyle=style, linewidth=width)


def wrapped_label(text: str, width: float, size: float) -> str:
    """``text``, broken into lines of at most ``width`` inches in letters of ``size`` points.

    It is drawn as it is: a ``$`` in it does not begin a formula.
    """
    lines = wrapped(text, lambda part: text_width(part, size) <= width)
    return literal("\n".join(lines))


def wrapped(text: str, fits: Callable[[str], bool]) -> list[str]:
    """Break ``text`` into lines that fit, between words where it has any.

    Args:
        text: Of one or more lines.
        fits: Whether a line is short enough; one letter always is.
    """
    lines: list[str] = []
    for paragraph in text.split("\n"):
        line = ""
        for word in paragraph.split(" "):
            longer = f"{line} {word}" if line else word
            if fits(longer):
                line = longer
                continue
            lines += [line] if line else []
            while not fits(word) and len(word) > 1:
                end = next(n for n in range(len(word) - 1, 0, -1) if n == 1 or fits(word[:n]))
                lines.append(word[:end])
                word = word[end:]
            line = word
        lines.append(line)
    return lines


def text_width(text: str, size: float) -> float:
    """The inches that the widest line of ``text`` takes in letters of ``size`` points."""
    renderer = FigureCanvasAgg(Figure(dpi=_DPI)).get_renderer()
    font = FontProperties(size=size)
    pixels = (
        renderer.get_text_width_height_descent(line, font, ismath=False)[0]
        for line in text.split("\n")
    )
    return max(pixels) / _DPI


def literal(text: str) -> str:
    """``text`` for matplotlib to draw as it is, dollars included."""
    return text.replace("$", r"\$")


def save_figure(figure: Figure, path: str | os.PathLike) -> None:
    """Write ``figure`` to ``path``, in the format of its suffix, all of it or none."""
    write_atomically(path, lambda temporary: figure.savefig(temporary))


@contextlib.contextmanager
def drawing(name: str) -> Iterator[None]:
    """A context in which an error costs one picture, and a line in the log, but not the work.

    Args:
        name: What the picture is called in that line.
    """
    try:
        yield
    except Exception as error:
        reason = str(error).strip().split("\n")[0] or type(error).__name__
        logging.warning("%s is not drawn: %s", name, reason)


def height_of(figure: Figure, artist: Artist) -> float:
    """The inches that an artist of ``figure`` takes from below to above."""
    renderer = figure.canvas.get_renderer()  # type: ignore[attr-defined]  # Agg's
    return artist.get_window_extent(renderer).height / figure.dpi


def grow(figure: Figure, inches: float) -> None:
    """Make ``figure`` higher by ``inches``."""
    figure.set_figheight(figure.get_figheight() + inches)
