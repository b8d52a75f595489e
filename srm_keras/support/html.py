"""Parts of self-contained HTML pages, which open in any browser without a network."""

import base64
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

_STYLE = """
:root { color-scheme: light dark; --line: #8884; --muted: #888; --good: #1a7f37; --bad: #cf222e; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.15rem; margin-top: 2.2rem; }
h3 { font-size: 1rem; margin-top: 1.6rem; }
table { border-collapse: collapse; font-size: .9rem; font-variant-numeric: tabular-nums; }
th, td { padding: .35rem .8rem .35rem 0; border-bottom: 1px solid var(--line); text-align: left; }
th { font-weight: 600; white-space: nowrap; } .numbers td { white-space: nowrap; }
.scroll { overflow-x: auto; }
.curves { max-width: 100%; background: white; border-radius: 6px; }
.whole { background: white; border-radius: 6px; margin-top: 1rem; }
.note { color: var(--muted); font-size: .85rem; }
.grid { display: grid; grid-template-columns: repeat(auto-fill, minmax(8.5rem, 1fr)); gap: 1rem; }
figure { margin: 0; } figcaption { font-size: .85rem; line-height: 1.35; }
figure img { width: 100%; aspect-ratio: 1; object-fit: contain; image-rendering: pixelated; }
.right { color: var(--good); } .wrong { color: var(--bad); }
figcaption { overflow-wrap: anywhere; }
summary { font-weight: 600; margin-top: 1.6rem; cursor: pointer; }
details td { overflow-wrap: anywhere; }
"""
_THUMBNAIL = 192  # the longest side of an image in a gallery, in pixels


@dataclass(frozen=True)
class Prediction:
    """One image and what a network makes of it.

    Attributes:
        image: (H, W, C) uint8, C = 1 or 3.
        label: The true class.
        predicted: The class with the highest probability.
        score: That probability, in [0, 1].
        label_score: The probability of the true class.
    """

    image: np.ndarray
    label: str
    predicted: str
    score: float
    label_score: float


def page(title: str, sections: Iterable[str]) -> str:
    """A whole page of ``sections`` under a heading."""
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
        f"<h1>{escape(title)}</h1>\n{''.join(sections)}</body>\n</html>\n"
    )


def section(heading: str, content: str, level: int = 2) -> str:
    """``content``, which is HTML, under a heading of ``level`` 2 or 3."""
    return f"<h{level}>{escape(heading)}</h{level}>\n{content}\n"


def table(header: Sequence[str], rows: Iterable[Iterable[Any]], style: str = "") -> str:
    """A table of texts; with no words in ``header``, without a header."""
    lines = [_row("td", row) for row in rows]
    if any(header):
        lines.insert(0, _row("th", header))
    return f'<div class="scroll"><table class="{style}">\n{"".join(lines)}</table></div>'


def folded(heading: str, content: str) -> str:
    """``content``, which is HTML, behind a heading that a click opens."""
    return f"<details>\n<summary>{escape(heading)}</summary>\n{content}\n</details>\n"


def gallery(predictions: Iterable[Prediction]) -> str:
    """Images in a grid, each over its true class, the predicted one and their probabilities."""
    return f'<div class="grid">\n{"".join(map(_figure, predictions))}</div>'


def percentages(accuracies: Mapping[str, float]) -> list[tuple[str, str]]:
    """(split, text) of accuracies in [0, 1]."""
    return [(split, f"{100 * accuracy:.1f} %") for split, accuracy in accuracies.items()]


def image(png: bytes, alternative: str, style: str = "") -> str:
    """A PNG inside the page."""
    data = base64.b64encode(png).decode("ascii")
    return f'<img class="{style}" alt="{escape(alternative)}" src="data:image/png;base64,{data}">'


def picture(path: Path, alternative: str, whole: bool = False) -> str:
    """The PNG at ``path``; words where it could not be drawn.

    Args:
        path: Of the PNG.
        alternative: What it shows, in words.
        whole: Whether it keeps its size, and can be scrolled; else it is as wide as the page.
    """
    if not path.is_file():
        return f"<p>{escape(path.name)} was not drawn.</p>"
    if whole:
        return f'<div class="scroll">{image(path.read_bytes(), alternative, "whole")}</div>'
    return image(path.read_bytes(), alternative, "curves")


def _figure(prediction: Prediction) -> str:
    right = prediction.predicted == prediction.label
    true = "" if right else f" ({_percent(prediction.label_score)})"
    return (
        f"<figure>{image(_png(prediction.image), prediction.label)}<figcaption>"
        f'true: {escape(prediction.label)}{true}<br><span class="{"right" if right else "wrong"}">'
        f"predicted: {escape(prediction.predicted)} ({_percent(prediction.score)})</span>"
        "</figcaption></figure>\n"
    )


def _percent(share: float) -> str:
    return f"{100 * share:.0f}&nbsp;%"


def _png(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    small = Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)
    small.thumbnail((_THUMBNAIL, _THUMBNAIL))
    small.save(buffer, "PNG")
    return buffer.getvalue()


def _row(tag: str, cells: Iterable[Any]) -> str:
    return "<tr>" + "".join(f"<{tag}>{escape(str(cell))}</{tag}>" for cell in cells) + "</tr>\n"
