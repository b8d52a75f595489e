"""Finished trainings and analyses as the paper's tables and figures want them."""

import glob
import importlib
import json
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from srm_keras.analysis.paper_tables import FIGURES
from srm_keras.analysis.paper_tables.report import Analysis
from srm_keras.analysis.paper_tables.runs import TrainedRun, settings
from srm_keras.analysis.paper_tables.sections import Picture
from srm_keras.analysis.paper_tables.stand_ins import setting_title
from srm_keras.layers import spec_label
from srm_keras.support.files import read_json
from srm_keras.training import plot_runs, read_metrics, resolve, run_folder
from srm_keras.training.recipe import FIELDS
from srm_keras.training.run_folder import is_of_classifier, read_recipe

BEFORE = {path: field.default for path, field in FIELDS.items() if field.default != {}}
"""What a recipe means that was written before there was a field."""

PAPER_RECIPES = ("imagenet", "cifar10", "cifar100", "stylized_imagenet", "office_home", "dtd")


def expanded(patterns: Sequence[str]) -> list[Path]:
    """Return what shell patterns meet, in order and each once; a name that exists means itself.

    So the brackets of a folder ``exp [final]`` are its own, and those of ``seed_[0-3]`` a pattern.

    Raises:
        ValueError: A pattern meets nothing.
    """
    found: list[Path] = []
    for pattern in patterns:
        there = Path(pattern)
        while not there.exists():
            there = there.parent
        below = Path(pattern).relative_to(there)
        names = glob.glob(str(below), root_dir=there) if below.parts else [""]  # noqa: PTH207
        met = [there / name for name in sorted(names)]
        if not met:
            raise ValueError(
                "`--models` must be run folders or patterns of such. "
                f"Received: {pattern!r}, which holds none"
            )
        found += met
    return list(dict.fromkeys(found))


def pass_over(path: str | Path, reason: Exception | str) -> None:
    """Say on stderr that a run is left out, and why."""
    print(f"passed over {path}: {' '.join(str(reason).split())}", file=sys.stderr)


def run_folders(patterns: Sequence[str]) -> list[Path]:
    """Return the folders of finished classifiers' runs, those of cross-validations included.

    Args:
        patterns: Run folders of train, folders of cross_validate, or shell patterns
            of both. Runs that are of another kind, unfinished or unreadable are passed over with
            a word of it; what is no run, without.

    Raises:
        ValueError: A name or a pattern leads to no run at all.
    """
    found: dict[Path, None] = {}
    for pattern in patterns:
        runs = [run for path in expanded([pattern]) for run in _runs_in(path)]
        if not runs:
            raise ValueError(
                "`--models` must be run folders of train or folders of cross_validate, "
                f"or patterns of such. Received: {pattern!r}, which holds none"
            )
        found |= dict.fromkeys(runs)
    return [path for path in found if _is_usable(path, finished=True)]


def evaluated_runs(patterns: Sequence[str]) -> list[Path]:
    """Return the folders of classifiers' runs that were evaluated once, finished or not.

    Args:
        patterns: Run folders of train, or shell patterns of such; what else they meet is
            passed over with a word of it.

    Raises:
        ValueError: There is no such run.
    """
    runs = [path for path in expanded(patterns) if _is_usable(path, finished=False)]
    if not runs:
        raise ValueError(
            "At least one run folder of train that was evaluated is required. "
            f"Received: {', '.join(patterns) or 'none'}"
        )
    return runs


def trained_run(folder: Path) -> TrainedRun:
    """Read a finished run.

    Raises:
        ValueError: A file of it cannot be read.
    """
    recipe = read_recipe(folder)
    result = _read(folder / run_folder.RESULT)
    try:
        splits = result["last"]["splits"]
        return TrainedRun(
            recalibration=recipe.pop("recalibration"),
            recipe={**BEFORE, **run_folder.flatten(recipe)},
            classes=len(_read(folder / run_folder.CLASSES)),
            accuracies={split: score["accuracy"] for split, score in splits.items()},
            domains={split: _domains(score) for split, score in splits.items()},
            top5={
                split: score["top5_accuracy"]
                for split, score in splits.items()
                if "top5_accuracy" in score
            },
        )
    except (KeyError, TypeError) as error:
        raise ValueError(
            f"`--models` must be run folders of train. Received: {folder / run_folder.RESULT} "
            f"without {error}"
        ) from error


def metrics(folder: Path) -> list[dict[str, float]]:
    """The rows of a run's metrics.csv."""
    return read_metrics(folder / run_folder.METRICS)


def paper_recipes() -> dict[str, dict[str, Any]]:
    """The recipe of the paper for each of its data sets, by dotted path."""
    return {
        name: run_folder.flatten(
            resolve(importlib.import_module(f"srm_keras.recipes.{name}").get_config()).to_dict()
        )
        for name in PAPER_RECIPES
    }


def _runs_in(path: Path) -> list[Path]:
    if (path / run_folder.RECIPE).is_file():
        return [path]
    below = sorted((path / "runs").glob("*")) if (path / "runs").is_dir() else []
    return [one for one in below if (one / run_folder.RECIPE).is_file()]


def _is_usable(path: Path, finished: bool) -> bool:
    try:
        if not is_of_classifier(read_recipe(path)):
            raise ValueError("not a run of train")
        if not metrics(path):
            raise ValueError("not evaluated yet")
        if finished and not (path / run_folder.RESULT).is_file():
            raise ValueError("not finished")
        if (path / run_folder.RESULT).is_file():
            trained_run(path)
    except (ValueError, OSError) as error:
        pass_over(path, error)
        return False
    return True


def _domains(score: Mapping[str, Any]) -> dict[str, float]:
    return {name: one["accuracy"] for name, one in score.get("domains", {}).items()}


def _read(path: Path) -> Any:
    try:
        return read_json(path)
    except (OSError, json.JSONDecodeError) as error:
        raise ValueError(
            f"`--models` must be run folders that can be read. Received: {path} ({error})"
        ) from error


def figure_analyses(folders: Sequence[str]) -> dict[int, list[Analysis]]:
    """Return what the tools left below ``folders``, by the number of the figure.

    Raises:
        ValueError: A folder does not exist, or a file of a known name is no JSON object.
    """
    for folder in folders:
        if not Path(folder).is_dir():
            raise ValueError(f"`--figures` must be folders. Received: {folder!r}")
    return {
        figure.number: [
            _analysis(path, Path(folder), figure.pictures)
            for folder in folders
            for path in sorted(Path(folder).rglob(figure.data))
        ]
        for figure in FIGURES
        if figure.data
    }


def curve_analyses(folders: Sequence[Path], runs: Sequence[TrainedRun]) -> list[Analysis]:
    """Draw the training curves of every setting in which several modules were run."""
    folder_of = {id(run): folder for run, folder in zip(runs, folders, strict=True)}
    pictures: list[Any] = []
    for setting in settings(runs):
        if len(setting.modules) > 1:
            curves = {
                spec_label(spec): [metrics(folder_of[id(run)]) for run in setting.of(spec)]
                for spec in setting.modules.values()
            }
            title = f"{setting_title(setting)}, {setting.example.recipe['steps']:,} steps"
            pictures.append(Picture(f"curves_{len(pictures) + 1}.png", title, _plot(curves, title)))
    return [Analysis("curves", "", {}, pictures)] if pictures else []


def _analysis(path: Path, folder: Path, patterns: Iterable[str]) -> Analysis:
    """What lies beside a file of results; its name tells it from others below ``folder``."""
    parts = path.parent.relative_to(folder).parts or (path.parent.resolve().name,)
    try:
        data = read_json(path)
    except json.JSONDecodeError as error:
        raise ValueError(
            f"`--figures` must hold results of this package's analyses. Received: {path}: {error}"
        ) from error
    pictures = [
        Picture(
            "_".join((*parts, found.name)),
            f"{'/'.join(parts)}: {found.stem}",
            found.read_bytes(),
        )
        for pattern in patterns
        for found in sorted(path.parent.glob(pattern))
    ]
    return Analysis("/".join(parts), str(path), data, pictures)


def _plot(curves: dict, title: str) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "curves.png")
        plot_runs(curves, path, title)
        return path.read_bytes()
