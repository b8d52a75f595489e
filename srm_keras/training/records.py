"""Reading a run folder back."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
from ml_collections import config_dict

from srm_keras.data import Preprocessing
from srm_keras.files import read_json
from srm_keras.models.keras_files import read_keras_file
from srm_keras.training import run_folder
from srm_keras.training.fields import naming

CHECKPOINTS = {"best": run_folder.BEST, "last": run_folder.LAST}


@dataclass(frozen=True)
class Run:
    """A trained network and what it was trained with.

    Attributes:
        model: The network, uncompiled; its input is what `preprocessing` makes.
        recipe: The resolved recipe.
        preprocessing: How images were prepared.
        classes: The name of each output.
    """

    model: keras.Model
    recipe: config_dict.ConfigDict
    preprocessing: Preprocessing
    classes: tuple[str, ...]


def load_run(workdir: str | os.PathLike, checkpoint: str = "best") -> Run:
    """Loads the run that `srm_keras.training.train` left in `workdir`.

    The run may be unfinished, as long as it was evaluated once.

    Args:
        workdir: The run folder.
        checkpoint: `"best"` (highest validation accuracy) or `"last"`.

    Raises:
        ValueError: If `checkpoint` is neither, or `workdir` is no run folder of a classifier, or a
            file in it is damaged, or its network names foreign classes.
    """
    if checkpoint not in CHECKPOINTS:
        raise ValueError(
            f"`checkpoint` must be 'best' or 'last'. Received: checkpoint={checkpoint!r}"
        )
    folder = Path(workdir)
    needed = (
        CHECKPOINTS[checkpoint],
        run_folder.RECIPE,
        run_folder.PREPROCESSING,
        run_folder.CLASSES,
    )
    missing = [name for name in needed if not (folder / name).is_file()]
    if missing:
        raise ValueError(
            "`workdir` must be a run folder with at least one evaluation done. "
            f"Received: workdir={str(workdir)!r}, which lacks {', '.join(missing)}"
        )
    recipe = read_recipe(folder)
    if not is_of_classifier(recipe):
        raise ValueError(
            "`workdir` must be a run of `train` (a classifier's), whose recipe names data and a "
            f"model. Received: {str(folder / run_folder.RECIPE)!r} with {', '.join(recipe)}"
        )
    preprocessing = _read(folder / run_folder.PREPROCESSING, dict, "an object")
    with naming(str(folder / run_folder.PREPROCESSING)):
        prepared = Preprocessing.from_dict(preprocessing)
    return Run(
        model=read_keras_file(folder / CHECKPOINTS[checkpoint]),
        recipe=config_dict.ConfigDict(recipe),
        preprocessing=prepared,
        classes=tuple(_read(folder / run_folder.CLASSES, list, "a list of names")),
    )


def read_recipe(workdir: str | os.PathLike) -> dict[str, Any]:
    """The recipe of a run folder, of whatever kind of training.

    Raises:
        ValueError: If there is none that can be read.
    """
    return _read(Path(workdir) / run_folder.RECIPE, dict, "a recipe, which is an object")


def is_of_classifier(recipe: Mapping[str, Any]) -> bool:
    """Whether a recipe that `read_recipe` returned is one of `train`."""
    return all(isinstance(recipe.get(group), dict) for group in ("data", "model"))


def is_of_stylizer(recipe: Mapping[str, Any]) -> bool:
    """Whether a recipe that `read_recipe` returned is one of `train_stylizer`."""
    return "method" in recipe


def _read(path: Path, kind: type, words: str) -> Any:
    """What a JSON file holds, which must be of a kind."""
    try:
        found = read_json(path)
    except (OSError, ValueError) as error:
        raise ValueError(f"{str(path)!r} cannot be read ({error})") from error
    if not isinstance(found, kind):
        raise ValueError(f"{str(path)!r} must hold {words}. Received: {found!r:.80}")
    return found
