"""One page about a trained and exported network, which opens in any browser without a network."""

import io
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from srm_keras import html
from srm_keras.export.report import COLUMNS, NOTE, ExportReport, table
from srm_keras.files import write_text


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
        html.section("What was trained", html.table(("", ""), facts.items())),
        html.section("Accuracy", html.table(("split", "top-1"), html.percentages(accuracies))),
        html.section("Training curves", html.image(Path(curves).read_bytes(), "curves", "curves")),
        html.section("Exported files", _exports(exports)),
        html.section("Sample predictions", _predictions(predictions)),
    ]
    write_text(path, html.page(title, sections))


def _exports(exports: Sequence[ExportReport]) -> str:
    reports = [report.to_dict() for report in exports]
    return f'{html.table(COLUMNS, table(reports), "numbers")}\n<p class="note">{NOTE}</p>'


def _predictions(predictions: Sequence[Prediction]) -> str:
    return f'<div class="grid">\n{"".join(map(_figure, predictions))}</div>'


def _figure(prediction: Prediction) -> str:
    kind = "right" if prediction.predicted == prediction.label else "wrong"
    return (
        f"<figure>{html.image(_png(prediction.image), prediction.label)}<figcaption>"
        f'true: {escape(prediction.label)}<br><span class="{kind}">'
        f"predicted: {escape(prediction.predicted)}</span><br>"
        f"score: {100 * prediction.score:.0f} %</figcaption></figure>\n"
    )


def _png(image: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image).save(buffer, "PNG")
    return buffer.getvalue()
