"""One page about a trained and exported network, which opens in any browser without a network."""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from srm_keras.export.report import COLUMNS, NOTE, ExportReport, table
from srm_keras.support import html
from srm_keras.support.files import write_text


@dataclass(frozen=True)
class Gates:
    """What the page says of a network's gates.

    Attributes:
        header: Of the table.
        rows: Of the table, a block each.
        note: What the columns mean.
        pictures: PNG files by what they show.
    """

    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str
    pictures: Mapping[str, Path]


def write_html(
    path: str | os.PathLike,
    title: str,
    facts: Mapping[str, Any],
    accuracies: Mapping[str, float],
    curves: str | os.PathLike,
    gates: Gates,
    exports: Sequence[ExportReport],
    predictions: Iterable[html.Prediction],
) -> None:
    """Write a self-contained HTML page; pictures are inside it.

    Args:
        path: Of the page.
        title: Of the page.
        facts: What was trained and how, in the order to show it.
        accuracies: top-1 accuracy in [0, 1] for each split.
        curves: A PNG of the training curves.
        gates: What they do.
        exports: The reports on the exported files.
        predictions: Sample images.
    """
    sections = [
        html.section("What was trained", html.table(("", ""), facts.items())),
        html.section("Accuracy", html.table(("split", "top-1"), html.percentages(accuracies))),
        html.section("Training curves", html.picture(Path(curves), "curves")),
        html.section("Gates", _gates(gates)),
        html.section("Exported files", _exports(exports)),
        html.section("Sample predictions", html.gallery(predictions)),
    ]
    write_text(path, html.page(title, sections))


def _gates(gates: Gates) -> str:
    statistics = html.table(gates.header, gates.rows, "numbers") + _note(gates.note)
    pictures = [
        html.section(words, html.picture(path, words), level=3)
        for words, path in gates.pictures.items()
    ]
    return statistics + "".join(pictures)


def _exports(exports: Sequence[ExportReport]) -> str:
    """A column a file: the dozen numbers of a file would not fit into a page side by side."""
    rows = zip(COLUMNS, *table([report.to_dict() for report in exports]), strict=True)
    header, *numbers = rows
    return html.table(header, numbers, "numbers") + _note(NOTE)


def _note(words: str) -> str:
    return f'\n<p class="note">{words}</p>\n'
