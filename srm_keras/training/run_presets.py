"""Presets of runs."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from srm_keras.files import read_json
from srm_keras.interop.presets import Preset, save_preset
from srm_keras.training import run_folder
from srm_keras.training.records import load_run


def save_run_as_preset(
    workdir: str | os.PathLike,
    path: str | os.PathLike,
    checkpoint: str = "best",
    card: Mapping[str, Any] | None = None,
    overwrite: bool = False,
) -> Preset:
    """Saves a trained network as a preset, with the recipe, the data and the scores of its run.

    Args:
        workdir: The run folder. Of an unfinished run there are no scores.
        path: Of the preset: a folder, or a `.zip` file.
        checkpoint: `"best"` (highest validation accuracy) or `"last"`.
        card: What the card says besides, as for `srm_keras.interop.save_preset`.
        overwrite: Whether a preset that is there is replaced.

    Returns:
        The preset.

    Raises:
        ValueError: If `workdir` is no run folder, or `path` is taken.
    """
    run = load_run(workdir, checkpoint)
    folder = Path(workdir)
    recipe = run.recipe.to_dict()
    facts: dict[str, Any] = {
        "name": run.model.name,
        "data": recipe["data"],
        "recipe": {name: value for name, value in recipe.items() if name != "data"},
        "checkpoint": checkpoint,
        "training_versions": run_folder.read_versions(folder),
    }
    if (folder / run_folder.RESULT).is_file():
        result = read_json(folder / run_folder.RESULT)[checkpoint]
        facts["step"] = result["step"]
        facts["metrics"] = {split: _scores(values) for split, values in result["splits"].items()}
    if (folder / run_folder.INITIAL).is_file():
        record = read_json(folder / run_folder.INITIAL)
        facts["initial_weights"] = {name: record[name] for name in ("init", "sha256")}
    given = {**facts, **(card or {})}
    return save_preset(run.model, path, run.preprocessing, run.classes, given, overwrite)


def _scores(values: Mapping[str, Any]) -> dict[str, float]:
    return {name: value for name, value in values.items() if isinstance(value, float)}
