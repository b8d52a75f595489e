"""Reading a run folder back."""

import os
from dataclasses import dataclass
from pathlib import Path

import keras
from ml_collections import config_dict

from srm_keras.data import Preprocessing
from srm_keras.files import read_json
from srm_keras.training import run_folder

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
        ValueError: If `checkpoint` is neither, or `workdir` is no run folder.
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
    return Run(
        model=keras.saving.load_model(folder / CHECKPOINTS[checkpoint]),
        recipe=config_dict.ConfigDict(read_json(folder / run_folder.RECIPE)),
        preprocessing=Preprocessing.from_dict(read_json(folder / run_folder.PREPROCESSING)),
        classes=tuple(read_json(folder / run_folder.CLASSES)),
    )
