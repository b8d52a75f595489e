"""Pruning curves of several networks in files, so that a study that was interrupted goes on."""

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from srm_keras.analysis.pruning.curve import PruningCurve, pruning_curve
from srm_keras.analysis.pruning.plot import plot_pruning
from srm_keras.data.progress import with_progress
from srm_keras.files import writable_file, write_csv, write_json
from srm_keras.resumed import resumed_rows
from srm_keras.tables import text_table

Curves = dict[str, list[PruningCurve]]
FILES = ("pruning.json", "pruning.csv", "pruning.png")


@dataclass(frozen=True)
class Batches:
    """Images and labels in batches, to go through several times, with word of how far it came."""

    images: np.ndarray
    labels: np.ndarray
    size: int
    what: str

    def __iter__(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        starts = range(0, len(self.images), self.size)
        for start in with_progress(starts, len(starts), f"{self.what}: pruned", "batches"):
            part = slice(start, start + self.size)
            yield self.images[part], self.labels[part]


class PruningStudy:
    """The curves that are known, kept in ``pruning.json``, ``.csv`` and ``.png``.

    Args:
        folder: of the files; made if it is not there.
        settings: what all curves have in common: the images, ``ratios``.

    Raises:
        ValueError: the folder cannot be made or written, or holds a study of other settings.
    """

    def __init__(self, folder: str, settings: dict[str, Any]):
        self.paths = [writable_file("out", Path(folder) / name) for name in FILES]
        self.settings = settings
        self.rows = resumed_rows(self.paths[0], "curves", {"settings": settings}, "pruning study")

    def curve(
        self, run: str, model: keras.Model, batches: Batches, stage: str, order: str
    ) -> PruningCurve:
        """Return the curve of a run, the known one if its weights are still the same."""
        key = {"run": run, "weights": _fingerprint(model), "stage": stage, "order": order}
        known = next((row for row in self.rows if key.items() <= row.items()), None)
        if known is None:
            curve = pruning_curve(model, batches, self.settings["ratios"], [stage], order)[stage]
            known = {**key, **asdict(curve)}
            place = ("run", "stage", "order")
            others = [row for row in self.rows if any(row[name] != key[name] for name in place)]
            self.rows = [*others, known]
        return _curve(known)

    def write(self, curves: Curves) -> None:
        """Write the files: the picture and the table of ``curves``, and all that is known."""
        json, table, picture = self.paths
        runs = {run: _summary(of_run) for run, of_run in curves.items() if of_run}
        write_json(json, {"settings": self.settings, "runs": runs, "curves": self.rows})
        rows = [{"run": run, **row} for run in curves for c in curves[run] for row in c.to_rows()]
        write_csv(table, rows)
        title = f"Accuracy on {self.settings['samples']:,} images ({self.settings['split']})"
        plot_pruning(curves, picture, f"{title}, channels pruned image by image")


def areas_table(curves: Curves) -> str:
    """The areas under the curves: a line a run and order, a column a stage."""
    stages = list(dict.fromkeys(curve.stage for of_run in curves.values() for curve in of_run))
    lines = []
    for run, of_run in curves.items():
        for order in dict.fromkeys(curve.order for curve in of_run):
            areas = {c.stage: f"{c.area:.4f}" for c in of_run if c.order == order}
            label = run if order == "gates" else f"{run}, {order}"
            unpruned = f"{of_run[0].accuracies[0]:.4f}"
            lines.append([label, unpruned, *(areas.get(stage, "–") for stage in stages)])
    return text_table(["area under the curve", "unpruned", *stages], lines)


def _summary(curves: Sequence[PruningCurve]) -> dict[str, Any]:
    """What the report of the paper's figures reads, and people."""
    orders = {order: {} for order in ("gates", "random")}
    for curve in curves:
        areas = {"area": curve.area, "relative_area": curve.relative_area}
        orders[curve.order][curve.stage] = {**areas, "accuracies": curve.accuracies}
    accuracy = curves[0].accuracies[0]
    return {"accuracy": accuracy, "stages": orders["gates"], "random": orders["random"]}


def _curve(row: dict[str, Any]) -> PruningCurve:
    sequences = {name: tuple(row[name]) for name in ("blocks", "ratios", "accuracies")}
    return PruningCurve(row["stage"], row["order"], **sequences, samples=row["samples"])


def _fingerprint(model: keras.Model) -> str:
    """Eight digits that change with the weights."""
    checksum = 0
    for weight in model.get_weights():
        checksum = zlib.crc32(np.ascontiguousarray(weight), checksum)
    return f"{checksum:08x}"
