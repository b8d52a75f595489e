"""Prunes the channels of every image by its own gates and measures what accuracy is left.

    srm-keras prune --models=runs/se,runs/srm --out=runs/pruning

Takes networks with gates that were trained on the same data. In every residual block of a stage the
channels with the lowest gates are set to zero, a share at a time (figure 6 of the SRM paper); as a
control the same number of channels drawn at random. Writes to --out

    pruning.png     a panel a stage, a line a run, with the area under each
    pruning.csv     accuracy for every run, stage, order and ratio
    pruning.json    the same with areas, blocks and settings

after each stage. A command that was interrupted goes on where it was. docs/pruning.md says more.
"""

import sys
import zlib
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import keras
import numpy as np
from absl import flags as absl_flags
from absl.flags import FlagValues

from srm_keras.analysis.pruning.curve import PruningCurve, plot_pruning, pruning_curve
from srm_keras.cli import flags as shared
from srm_keras.cli.samples import SampleBatches
from srm_keras.support.files import writable_file, write_csv, write_json
from srm_keras.support.tables import resumed_rows, text_table

Curves = dict[str, list[PruningCurve]]
FILES = ("pruning.json", "pruning.csv", "pruning.png")


def define(flags: FlagValues) -> None:
    """Define the flags."""
    shared.models(flags, shared.CLASSIFIERS)
    shared.out(flags)
    shared.checkpoint(flags)
    shared.samples(flags, None, "of the evaluation split; by default all.")
    absl_flags.DEFINE_list(
        "ratios",
        [f"{tenths / 10:g}" for tenths in range(11)],
        "Shares of the channels to prune, ascending from 0.",
        flag_values=flags,
    )
    absl_flags.DEFINE_list(
        "stages",
        [],
        "Stages to prune, as conv2,conv3,all. Default: each stage, and all together.",
        flag_values=flags,
    )
    absl_flags.DEFINE_bool(
        "control", True, "Whether to prune at random too; doubles the time.", flag_values=flags
    )
    shared.batch_size(flags, 100)


class PruningStudy:
    """The curves that are known, kept in ``pruning.json``, ``.csv`` and ``.png``.

    Args:
        folder: Of the files; made if it is not there.
        settings: What all curves have in common: the images, ``ratios``.

    Raises:
        ValueError: The folder cannot be made or written, or holds a study of other settings.
    """

    def __init__(self, folder: str, settings: dict[str, Any]):
        self.paths = [writable_file("out", Path(folder) / name) for name in FILES]
        self.settings = settings
        self.rows = resumed_rows(self.paths[0], "curves", {"settings": settings}, "pruning study")

    def curve(
        self, run: str, model: keras.Model, samples: SampleBatches, stage: str, order: str
    ) -> PruningCurve:
        """Return the curve of a run, the known one if its weights are still the same.

        Images are read and prepared again for each curve.
        """
        key = {"run": run, "weights": _fingerprint(model), "stage": stage, "order": order}
        known = next((row for row in self.rows if key.items() <= row.items()), None)
        if known is None:
            told = samples.told(f"{run}, {stage}, {order}: pruned")
            curve = pruning_curve(model, told, self.settings["ratios"], [stage], order)[stage]
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
    orders: dict[str, dict] = {order: {} for order in ("gates", "random")}
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
        checksum = zlib.crc32(np.ascontiguousarray(weight).tobytes(), checksum)
    return f"{checksum:08x}"


def main(flags: FlagValues, arguments: Sequence[str]) -> None:
    """Prune the runs that the flags name."""
    shared.check(flags, arguments, "models", "out")
    from srm_keras.cli.networks import analysed_runs

    ratios = _ratios(flags.ratios)
    for name in FILES:
        writable_file("out", Path(flags.out) / name)
    runs = analysed_runs(flags.models, flags.checkpoint, gates=True)
    stages = {label: _stages(flags, label, run.model) for label, run in runs.items()}
    samples = SampleBatches(next(iter(runs.values())), flags.samples, flags.batch_size)
    settings = {"checkpoint": flags.checkpoint, "split": samples.split, "ratios": ratios}
    study = PruningStudy(flags.out, {**settings, "samples": len(samples.positions)})
    curves: dict[str, list] = {label: [] for label in runs}
    for label, run in runs.items():
        for order in ("gates", "random") if flags.control else ("gates",):
            for stage in stages[label]:
                curve = study.curve(label, run.model, samples, stage, order)
                curves[label].append(curve)
                study.write(curves)
                what = f"{label}, {stage}, {order}: area {curve.area:.4f}"
                print(what, file=sys.stderr, flush=True)
    print(areas_table(curves))
    print(f"Wrote pruning.png, pruning.csv and pruning.json to {flags.out}")


def _ratios(texts: Sequence[str]) -> list[float]:
    """The numbers of ``--ratios``, which must ascend from 0 to at most 1."""
    from srm_keras.analysis.pruning.curve import check_ratios

    try:
        ratios = [float(text) for text in texts]
    except ValueError:
        raise ValueError(
            f"`--ratios` must be numbers, as 0,0.5,1. Received: {','.join(texts)}"
        ) from None
    check_ratios(ratios)
    return ratios


def _stages(flags: FlagValues, label: str, model) -> list[str]:
    """The stages to prune of a run, all of which it must have."""
    from srm_keras.analysis.pruning.curve import pruning_stages
    from srm_keras.support.validation import one_of

    try:
        known = pruning_stages(model)
    except ValueError as error:
        raise ValueError(f"`--models` must be networks with gates ({label}): {error}") from None
    return [one_of("stages", stage, known) for stage in flags.stages] or list(known)
