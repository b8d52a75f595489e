"""Finished trainings as the paper's tables want them, read from folders that `train` wrote."""

import glob
import importlib
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from srm_keras.analysis.paper_tables.runs import TrainedRun
from srm_keras.files import read_json
from srm_keras.training import read_metrics, resolve, run_folder

PAPER_RECIPES = ("imagenet", "cifar10", "cifar100", "stylized_imagenet", "office_home", "dtd")


def run_folders(patterns: Sequence[str]) -> list[Path]:
    """Return the folders of finished runs, those of cross-validations included.

    Args:
        patterns: run folders of train.classify, folders of train.cross_validate, or shell patterns
            of both. What else a pattern meets is passed over, unfinished runs with a word of it.

    Raises:
        ValueError: a name or a pattern leads to nothing of the kind.
    """
    found: list[Path] = []
    for pattern in patterns:
        paths = [Path(name) for name in sorted(glob.glob(pattern))]  # noqa: PTH207 - may be absolute
        runs = [run for path in paths for run in _runs_in(path)]
        if not runs:
            raise ValueError(
                "`runs` must be run folders of train.classify or folders of train.cross_validate, "
                f"or patterns of such. Received: runs={pattern!r}, which holds none"
            )
        found += runs
    finished = [path for path in dict.fromkeys(found) if (path / run_folder.RESULT).is_file()]
    for path in dict.fromkeys(found):
        if path not in finished:
            print(f"passed over {path}: not finished", file=sys.stderr)
    return finished


def trained_run(folder: Path) -> TrainedRun:
    """Read a finished run.

    Raises:
        ValueError: a file of it cannot be read.
    """
    recipe = _read(folder / run_folder.RECIPE)
    result = _read(folder / run_folder.RESULT)
    try:
        splits = result["last"]["splits"]
        return TrainedRun(
            recalibration=recipe.pop("recalibration"),
            recipe=run_folder.flatten(recipe),
            classes=len(_read(folder / run_folder.CLASSES)),
            accuracies={split: score["accuracy"] for split, score in splits.items()},
            domains={split: _domains(score) for split, score in splits.items()},
        )
    except (KeyError, TypeError) as error:
        raise ValueError(
            f"`runs` must be run folders of train.classify. Received: {folder / run_folder.RESULT} "
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


def _domains(score: Mapping[str, Any]) -> dict[str, float]:
    return {name: one["accuracy"] for name, one in score.get("domains", {}).items()}


def _read(path: Path) -> Any:
    try:
        return read_json(path)
    except (OSError, json.JSONDecodeError) as error:
        raise ValueError(
            f"`runs` must be run folders that can be read. Received: {path} ({error})"
        ) from error
