"""Which classes are taken for which: the counts, as a table, a picture and a list of the hardest.

A confusion matrix here is an int64 array (classes, classes + 1): entry (i, j) is the number of
examples of class i that were taken for class j; the last column counts those without an answer.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm

from srm_keras.support.figures import drawing, literal, new_figure, save_figure, text_width
from srm_keras.support.files import write_csv

NO_ANSWER = -1
"""What is predicted where a logit is NaN: no class."""

_CORNER = "true / predicted"
NO_ANSWER_NAME = "(no answer)"
"""How that is called in tables."""


def confusion_matrix(labels: np.ndarray, predicted: np.ndarray, classes: int) -> np.ndarray:
    """Counts how often each class was taken for each.

    Args:
        labels: (N,) integers in [0, classes).
        predicted: (N,) integers in [0, classes), or ``NO_ANSWER``.
        classes: Number of classes.

    Returns:
        int64 (classes, classes + 1).
    """
    columns = np.where(predicted == NO_ANSWER, classes, predicted)
    shape = (classes, classes + 1)
    cells = np.ravel_multi_index((labels, columns), shape)
    return np.bincount(cells, minlength=classes * (classes + 1)).reshape(shape)


def by_class(counts: np.ndarray, classes: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Accuracy and number of examples of each class; no accuracy (None) where there is none.

    Args:
        counts: A confusion matrix.
        classes: The names of the classes.
    """
    totals = counts.sum(axis=1)
    return {
        name: {"accuracy": int(right) / int(total) if total else None, "examples": int(total)}
        for name, right, total in zip(classes, counts.diagonal(), totals, strict=True)
    }


def hardest(counts: np.ndarray, classes: Sequence[str], most: int) -> list[tuple[str, ...]]:
    """The classes with the lowest accuracies, and what each is most often taken for.

    Args:
        counts: A confusion matrix.
        classes: The names of the classes.
        most: How many to list at most. Classes that are always right are left out.

    Returns:
        Rows of class, examples, accuracy, and the class it is most often taken for with how often.
    """
    totals = counts.sum(axis=1)
    wrong = counts.copy()
    np.fill_diagonal(wrong, 0)
    shares = wrong.sum(axis=1) / np.maximum(totals, 1)
    order = np.argsort(-shares, kind="stable")[:most]
    answers = [*classes, NO_ANSWER_NAME]
    return [
        (
            classes[index],
            f"{totals[index]:,}",
            f"{1 - shares[index]:.4f}",
            f"{answers[wrong[index].argmax()]} ({wrong[index].max():,})",
        )
        for index in order
        if shares[index]
    ]


HARDEST = ("class", "examples", "accuracy", "most often taken for")
"""The header of the rows of ``hardest``."""


def files_of(folder: Path, name: str) -> tuple[Path, Path]:
    """The CSV and the PNG of a confusion matrix in ``folder``, whose name may hold any letters."""
    plain = "".join(letter if letter.isalnum() or letter in "-_." else "_" for letter in name)
    return folder / f"{plain}.csv", folder / f"{plain}.png"


def save_confusion(
    counts: np.ndarray, classes: Sequence[str], folder: Path, name: str, title: str
) -> None:
    """Writes a confusion matrix to ``folder`` as a CSV and, if it can be drawn, as a PNG.

    Args:
        counts: A confusion matrix.
        classes: The names of the classes.
        folder: Made if it does not exist.
        name: Of the files.
        title: Of the picture.
    """
    table, picture = files_of(folder, name)
    write_csv(table, [*_rows(counts, classes)])
    with drawing(f"{folder.name}/{picture.name}"):
        plot_confusion(counts, classes, picture, title)


def _rows(counts: np.ndarray, classes: Sequence[str]) -> list[Mapping[str, Any]]:
    """A row a class; the column of those without an answer only where there are any."""
    columns = [*classes, NO_ANSWER_NAME] if counts[:, -1].any() else list(classes)
    return [
        {_CORNER: name, **dict(zip(columns, row.tolist(), strict=False))}
        for name, row in zip(classes, counts, strict=True)
    ]


_WITH_COUNTS, _WITH_NAMES = 25, 250
"""Up to so many classes, cells hold their counts, and the axes the names of the classes."""

_SIDE = 25.0
"""Inches, of the matrix of more classes than have their names."""

_DARK = 0.36
"""The share from which on a cell is so dark that its count is white."""

_ABSENT = "#e0e0e0"

_LETTERS = 36
"""Longer names are cut in their middle."""


def plot_confusion(counts: np.ndarray, classes: Sequence[str], path: Path, title: str) -> None:
    """Draws a confusion matrix as a PNG: a row a class, a cell the darker the larger its share.

    Up to 25 classes the counts stand in the cells; up to 250 the names of the classes stand at the
    axes, above that their numbers do. A class without examples has a grey row; examples without an
    answer have no column.

    Args:
        counts: A confusion matrix.
        classes: The names of the classes.
        path: Where the PNG goes.
        title: The title of the figure.
    """
    square, totals = counts[:, :-1], counts.sum(axis=1, keepdims=True)
    absent = np.broadcast_to(totals == 0, square.shape)
    shares = np.ma.masked_array(square / np.maximum(totals, 1), absent)
    names = [_shortened(name) for name in classes]
    few, named = len(classes) <= _WITH_COUNTS, len(classes) <= _WITH_NAMES
    size = 8 if few else 6.5
    side = _side(square, size)
    longest = text_width("\n".join(names), size) if named else 0.3
    margin = longest if few else 2 * longest
    figure = new_figure(side + margin + 1.8, side + margin + 1.1, title)
    axes = figure.subplots()
    colors = matplotlib.colormaps["Blues"].with_extremes(bad=_ABSENT)
    # The root of the share: a few examples among many are seen too.
    image = axes.imshow(shares, colors, PowerNorm(0.5, 0, 1), interpolation="nearest")
    axes.set(xlabel="predicted", ylabel="true")
    if named:
        _name_classes(axes, names, size, turned=longest > 0.9 * side / len(classes))
    if few:
        _write_counts(axes, square, shares, size)
    bar = figure.colorbar(image, ax=axes, shrink=min(1.0, 4 / side), label="share of the class")
    bar.outline.set_visible(False)
    save_figure(figure, path)


def _side(square: np.ndarray, size: float) -> float:
    """The inches of the matrix."""
    classes = len(square)
    if classes > _WITH_NAMES:
        return _SIDE
    if classes > _WITH_COUNTS:
        return classes * 1.35 * size / 72
    return classes * max(0.42, text_width(str(square.max()), size) + 0.12)


def _shortened(name: str) -> str:
    half = _LETTERS // 2
    return name if len(name) <= _LETTERS else f"{name[: half - 1]}…{name[-half:]}"


def _name_classes(axes: Axes, classes: Sequence[str], size: float, turned: bool) -> None:
    """The names of the classes at two sides, at all four where the matrix is large."""
    names, places = [literal(name) for name in classes], range(len(classes))
    many = len(classes) > _WITH_COUNTS
    axes.set_xticks(places, names)
    axes.set_yticks(places, names)
    axes.tick_params(length=0, labelsize=size, labeltop=many, labelright=many)
    axes.tick_params(axis="x", labelrotation=90 if turned else 0)
    for line in np.arange(-0.5, len(classes), 5 if many else 1):
        axes.axhline(line, color="#cccccc", linewidth=0.4)
        axes.axvline(line, color="#cccccc", linewidth=0.4)


def _write_counts(axes: Axes, square: np.ndarray, shares: np.ndarray, size: float) -> None:
    """The counts in the cells; nothing where there is nothing."""
    for row, column in np.argwhere(square):
        color = "white" if shares[row, column] > _DARK else "black"
        count = str(square[row, column])
        axes.text(column, row, count, ha="center", va="center", color=color, fontsize=size)
