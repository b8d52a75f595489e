"""One page about a trained and exported network, which opens in any browser without a network."""

import base64
import io
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from srm_keras.export.report import COLUMNS, NOTE, ExportReport, table
from srm_keras.files import write_text

_STYLE = """
:root { color-scheme: light dark; --line: #8884; --muted: #888; --good: #1a7f37; --bad: #cf222e; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.15rem; margin-top: 2.2rem; }
table { border-collapse: collapse; font-size: .9rem; font-variant-numeric: tabular-nums; }
th, td { padding: .35rem .8rem .35rem 0; border-bottom: 1px solid var(--line); text-align: left; }
th { font-weight: 600; white-space: nowrap; } .numbers td { white-space: nowrap; }
.scroll { overflow-x: auto; }
.curves { max-width: 100%; background: white; border-radius: 6px; }
.note { color: var(--muted); font-size: .85rem; }
.grid { display: grid; grid-template-columns: repeat(auto-fill, minmax(8.5rem, 1fr)); gap: 1rem; }
figure { margin: 0; } figcaption { font-size: .85rem; line-height: 1.35; }
figure img { width: 100%; aspect-ratio: 1; object-fit: contain; image-rendering: pixelated; }
.right { color: var(--good); } .wrong { color: var(--bad); }
"""


@dataclass(frozen=True)
class Prediction:
    """One sample image and what the network makes of it.

    Attributes:
        image: (H, W, C) uint8, C = 1 or 3.
        label: the true class.
        predicted: the class with the highest score.
        score: that score, in [0, 1].
    """

    image: np.ndarray
    label: str
    predicted: str
    score: float


def write_html(
    path: str | os.PathLike,
    title: str,
    facts: Mapping[str, Any],
    accuracies: Mapping[str, float],
    curves: str | os.PathLike,
    exports: Sequence[ExportReport],
    predictions: Sequence[Prediction],
) -> None:
    """Write a self-contained HTML page; pictures are inside it.

    Args:
        path: of the page.
        title: of the page.
        facts: what was trained and how, in the order to show it.
        accuracies: top-1 accuracy in [0, 1] for each split.
        curves: a PNG of the training curves.
        exports: the reports on the exported files.
        predictions: sample images.
    """
    sections = [
        _section("What was trained", _table(("", ""), facts.items())),
        _section("Accuracy", _table(("split", "top-1"), _percentages(accuracies))),
        _section("Training curves", _image(Path(curves).read_bytes(), "curves", "curves")),
        _section("Exported files", _exports(exports)),
        _section("Sample predictions", _predictions(predictions)),
    ]
    page = (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
        f"<h1>{escape(title)}</h1>\n{''.join(sections)}</body>\n</html>\n"
    )
    write_text(Path(path), page)


def _section(heading: str, content: str) -> str:
    return f"<h2>{escape(heading)}</h2>\n{content}\n"


def _table(header: Sequence[str], rows: Iterable[Iterable[Any]], style: str = "") -> str:
    lines = [_row("td", row) for row in rows]
    if any(header):
        lines.insert(0, _row("th", header))
    return f'<div class="scroll"><table class="{style}">\n{"".join(lines)}</table></div>'


def _row(tag: str, cells: Iterable[Any]) -> str:
    return "<tr>" + "".join(f"<{tag}>{escape(str(cell))}</{tag}>" for cell in cells) + "</tr>\n"


def _percentages(accuracies: Mapping[str, float]) -> list[tuple[str, str]]:
    return [(split, f"{100 * accuracy:.1f} %") for split, accuracy in accuracies.items()]


def _exports(exports: Sequence[ExportReport]) -> str:
    reports = [report.to_dict() for report in exports]
    return f'{_table(COLUMNS, table(reports), "numbers")}\n<p class="note">{NOTE}</p>'


def _predictions(predictions: Sequence[Prediction]) -> str:
    return f'<div class="grid">\n{"".join(map(_figure, predictions))}</div>'


def _figure(prediction: Prediction) -> str:
    kind = "right" if prediction.predicted == prediction.label else "wrong"
    return (
        f"<figure>{_image(_png(prediction.image), prediction.label)}<figcaption>"
        f'true: {escape(prediction.label)}<br><span class="{kind}">'
        f"predicted: {escape(prediction.predicted)}</span><br>"
        f"score: {100 * prediction.score:.0f} %</figcaption></figure>\n"
    )


def _image(png: bytes, alternative: str, style: str = "") -> str:
    data = base64.b64encode(png).decode("ascii")
    return f'<img class="{style}" alt="{escape(alternative)}" src="data:image/png;base64,{data}">'


def _png(image: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image).save(buffer, "PNG")
    return buffer.getvalue()
