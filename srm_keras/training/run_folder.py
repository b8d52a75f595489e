"""What a run leaves on disk, whether a folder may take a run, and reading it back."""

import contextlib
import datetime
import itertools
import math
import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
from ml_collections import config_dict

from srm_keras.data import Preprocessing
from srm_keras.models.keras_files import read_keras_file
from srm_keras.support.files import as_json, folder_lock, read_json, write_json
from srm_keras.support.timing import environment
from srm_keras.training.fields import naming
from srm_keras.training.recipe import differing

RECIPE = "recipe.json"
VERSIONS = "versions.json"
PREPROCESSING = "preprocessing.json"
CLASSES = "classes.json"
METRICS = "metrics.csv"
TIMING = "timing.csv"
CURVES = "curves.png"
GATES = "gates.png"
GATES_TABLE = "gates_over_training.csv"
GATES_OVER_TRAINING = "gates_over_training.png"
BEST = "best.keras"
LAST = "last.keras"
PREDICTIONS = "predictions.csv"
RESULT = "result.json"
REPORT = "report.html"
INITIAL = "initial_weights.json"
TEACHER = "teacher.json"
TRACKERS = "trackers.json"
FILES = (
    *(RECIPE, VERSIONS, PREPROCESSING, CLASSES),
    *(METRICS, TIMING, CURVES, GATES, GATES_TABLE, GATES_OVER_TRAINING),
    *(BEST, LAST, PREDICTIONS, RESULT, REPORT),
)
STYLE = "style.png"
DATA = "data.csv.gz"
FILES_OF_SOME = (INITIAL, TEACHER, TRACKERS, STYLE, DATA)
"""Of a run whose recipe has ``init``, a teacher, trackers, a style image; of one on image files."""

CHECKPOINTS = "checkpoints"
EVENTS = "events"
CONFUSION = "confusion"
FOLDERS = (CHECKPOINTS, EVENTS, CONFUSION)
SAMPLES = "samples"
FOLDERS_OF_SOME = (SAMPLES,)
"""Of a stylization run."""

_IN_FOLDERS = (
    (CHECKPOINTS, "step_*.npz"),
    (EVENTS, "**/events.out.tfevents.*"),
    (CONFUSION, "*.csv"),
    (CONFUSION, "*.png"),
    (SAMPLES, "step_*.png"),
)
"""What a run writes into them."""

PACKAGES = (
    *("srm-keras", "keras", "tensorflow", "jax", "torch"),
    *("numpy", "ml-collections", "scikit-learn", "tensorflow-datasets"),
)


def has_result(workdir: str | os.PathLike, recipe: Mapping[str, Any], overwrite: bool) -> bool:
    """Whether ``workdir`` holds the finished run of ``recipe``; checks that it may take it if not.

    Args:
        workdir: The run folder; nothing in it is touched.
        recipe: The resolved recipe.
        overwrite: Whether a run that is there does not count.

    Raises:
        ValueError: If ``workdir`` is a file, or holds a run of another recipe and ``overwrite`` is
            false.
    """
    folder = Path(workdir)
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"`workdir` must be a folder. Received: workdir={str(workdir)!r}, a file")
    known = (*FILES, *FILES_OF_SOME, *FOLDERS, *FOLDERS_OF_SOME)
    found = [name for name in known if (folder / name).exists()]
    if overwrite or not found:
        return False
    if RECIPE not in found:
        raise ValueError(
            "`workdir` must not hold files of a run without its recipe; choose another folder or "
            f"pass `overwrite`. Received: workdir={str(workdir)!r}, which holds {found[0]}"
        )
    return _is_equal(folder, recipe) and RESULT in found


def create(workdir: str | os.PathLike, overwrite: bool) -> Path:
    """Makes the folder; with ``overwrite``, removes the files of an earlier run (no others)."""
    folder = Path(workdir)
    folder.mkdir(parents=True, exist_ok=True)
    if overwrite:
        for file in _files_of_a_run(folder):
            file.unlink(missing_ok=True)
        for name in (*FOLDERS, *FOLDERS_OF_SOME):
            _remove_empty(folder / name)
    return folder


def held(workdir: str | os.PathLike) -> AbstractContextManager[None]:
    """A context in which no other call may train in the folder: see ``folder_lock``.

    What killed processes left half written in it is removed. Of several workers the chief alone
    takes it.

    Raises:
        ValueError: If another one does.
    """
    in_folders = (f"{name}/{pattern}" for name, pattern in _IN_FOLDERS if name != EVENTS)
    return folder_lock("workdir", Path(workdir), (*FILES, *FILES_OF_SOME, *in_folders))


def has_checkpoint(workdir: str | os.PathLike) -> bool:
    """Whether ``workdir`` holds a run that has saved its state."""
    return any((Path(workdir) / CHECKPOINTS).glob("step_*.npz"))


def describe(folder: Path, recipe: Mapping[str, Any], step: int) -> None:
    """Writes the recipe, and adds what the run begins (step 0) or goes on with to the versions."""
    write_json(folder / RECIPE, recipe)
    earlier = read_versions(folder) if step else []
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    write_json(
        folder / VERSIONS, [*earlier, {"step": step, "time": now, **versions(recipe["seed"])}]
    )


def read_versions(folder: Path) -> list[dict[str, Any]]:
    """What the run began with, and what it went on with each time; empty where that is not known.

    An early version of this package kept the last one alone.
    """
    with contextlib.suppress(ValueError, FileNotFoundError):
        found = read_json(folder / VERSIONS)
        return found if isinstance(found, list) else [found]
    return []


def told_versions(folder: Path) -> dict[str, Any]:
    """The same for people: names and values at the beginning, and what was another one later."""
    entries = [flatten(entry) for entry in read_versions(folder)]
    told = dict(entries[0]) if entries else {}
    for earlier, entry in itertools.pairwise(entries):
        changed = [f"{k} {v}" for k, v in entry.items() if k != "step" and earlier.get(k) != v]
        told[f"gone on from step {entry.get('step')}"] = ", ".join(changed)
    return told


def versions(seed: int) -> dict[str, Any]:
    """Python, platform, package versions, git revision and seed, for ``versions.json``."""
    return {
        "seed": seed,
        **environment(PACKAGES),
        "backend": keras.config.backend(),
        "git": _git_revision(),
    }


def parameter_counts(model: keras.Model) -> dict[str, int]:
    """How many numbers are trained and how many are not, for ``result.json``."""
    groups = {
        "trainable": model.trainable_weights,
        "non_trainable": model.non_trainable_weights,  # without the states of random generators
    }
    return {
        name: sum(math.prod(variable.shape) for variable in variables)
        for name, variables in groups.items()
    }


def flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """The leaves of nested mappings by their dotted paths; empty mappings are leaves."""
    leaves: dict[str, Any] = {}
    for name, value in values.items():
        nested = isinstance(value, Mapping) and value
        leaves |= flatten(value, f"{prefix}{name}.") if nested else {f"{prefix}{name}": value}
    return leaves


def _files_of_a_run(folder: Path) -> Iterator[Path]:
    yield from (folder / name for name in (*FILES, *FILES_OF_SOME))
    for name, pattern in _IN_FOLDERS:
        yield from list((folder / name).glob(pattern))


def _remove_empty(folder: Path) -> None:
    """Removes a folder unless there is a file in it or in a folder below it."""
    below = sorted((path for path in folder.rglob("*") if path.is_dir()), reverse=True)
    for path in (*below, folder):
        with contextlib.suppress(OSError):
            path.rmdir()


def _is_equal(folder: Path, recipe: Mapping[str, Any]) -> bool:
    """Whether the folder has this recipe, raising ``ValueError`` if it has another one.

    False where the data lie elsewhere now: a checkpoint then knows whether they are the same, and
    a run that has neither a checkpoint nor a result begins anew.
    """
    there, given = flatten(_read_recipe(folder)), flatten(as_json(recipe))
    decided_later = has_checkpoint(folder) or not (folder / RESULT).is_file()
    for name in differing(there, given, decided_later):
        raise ValueError(
            "`workdir` must not hold the run of another recipe; choose another folder or pass "
            f"`overwrite`. Received: workdir={str(folder)!r}, a run with "
            f"{name}={there.get(name)!r} instead of {given.get(name)!r}"
        )
    return not differing(there, given)


def _read_recipe(folder: Path) -> Mapping[str, Any]:
    with contextlib.suppress(ValueError):
        recipe = read_json(folder / RECIPE)
        if isinstance(recipe, Mapping):
            return recipe
    raise ValueError(
        f"`workdir` must hold a whole {RECIPE}; choose another folder or pass `overwrite`. "
        f"Received: workdir={str(folder)!r}, where it is damaged"
    )


def _git_revision() -> str | None:
    """The commit that the package's code is at, with ``+`` if files differ; None outside git."""
    command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--abbrev=40"]
    try:
        described = subprocess.run(
            [*command, "--dirty=+", "--exclude=*"], capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return described.stdout.strip()


WEIGHTS_FILES = {"best": BEST, "last": LAST}


@dataclass(frozen=True)
class Run:
    """A trained network and what it was trained with.

    Attributes:
        model: The network, uncompiled; its input is what ``preprocessing`` makes.
        recipe: The resolved recipe.
        preprocessing: How images were prepared.
        classes: The name of each output.
    """

    model: keras.Model
    recipe: config_dict.ConfigDict
    preprocessing: Preprocessing
    classes: tuple[str, ...]


def load_run(workdir: str | os.PathLike, checkpoint: str = "best") -> Run:
    """Loads the run that ``srm_keras.training.train`` left in ``workdir``.

    The run may be unfinished, as long as it was evaluated once.

    Args:
        workdir: The run folder.
        checkpoint: ``"best"`` (of the evaluations, by ``best.metric``) or ``"last"``.

    Raises:
        ValueError: If ``checkpoint`` is neither, or ``workdir`` is no run folder of a classifier,
            or a file in it is damaged, or its network names foreign classes.
    """
    if checkpoint not in WEIGHTS_FILES:
        raise ValueError(
            f"`checkpoint` must be 'best' or 'last'. Received: checkpoint={checkpoint!r}"
        )
    folder = Path(workdir)
    needed = (
        WEIGHTS_FILES[checkpoint],
        RECIPE,
        PREPROCESSING,
        CLASSES,
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
            f"model. Received: {str(folder / RECIPE)!r} with {', '.join(recipe)}"
        )
    preprocessing = _read(folder / PREPROCESSING, dict, "an object")
    with naming(str(folder / PREPROCESSING)):
        prepared = Preprocessing.from_dict(preprocessing)
    return Run(
        model=read_keras_file(folder / WEIGHTS_FILES[checkpoint]),
        recipe=config_dict.ConfigDict(recipe),
        preprocessing=prepared,
        classes=tuple(_read(folder / CLASSES, list, "a list of names")),
    )


def read_recipe(workdir: str | os.PathLike) -> dict[str, Any]:
    """The recipe of a run folder, of whatever kind of training.

    Raises:
        ValueError: If there is none that can be read.
    """
    return _read(Path(workdir) / RECIPE, dict, "a recipe, which is an object")


def is_of_classifier(recipe: Mapping[str, Any]) -> bool:
    """Whether a recipe that ``read_recipe`` returned is one of ``train``."""
    return all(isinstance(recipe.get(group), dict) for group in ("data", "model"))


def is_of_stylizer(recipe: Mapping[str, Any]) -> bool:
    """Whether a recipe that ``read_recipe`` returned is one of ``train_stylizer``."""
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
