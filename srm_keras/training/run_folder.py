"""What a run leaves on disk, and how it is written so that a kill leaves it readable."""

import importlib.metadata
import os
import platform
from pathlib import Path
from typing import Any

RECIPE = "recipe.json"
VERSIONS = "versions.json"
PREPROCESSING = "preprocessing.json"
CLASSES = "classes.json"
METRICS = "metrics.csv"
CURVES = "curves.png"
BEST = "best.keras"
LAST = "last.keras"
RESULT = "result.json"
FILES = (RECIPE, VERSIONS, PREPROCESSING, CLASSES, METRICS, CURVES, BEST, LAST, RESULT)

PACKAGES = ("srm-keras", "keras", "tensorflow", "numpy", "ml-collections", "tensorflow-datasets")


def check_free(workdir: str | os.PathLike, overwrite: bool) -> None:
    """Checks that a run may be written to `workdir`, without touching it.

    Raises:
        ValueError: If `workdir` is a file, or holds a run and `overwrite` is false.
    """
    folder = Path(workdir)
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"`workdir` must be a folder. Received: workdir={str(workdir)!r}, a file")
    found = [name for name in FILES if (folder / name).exists()]
    if found and not overwrite:
        raise ValueError(
            "`workdir` must not hold a run already; choose another folder or pass `overwrite`. "
            f"Received: workdir={str(workdir)!r}, which holds {found[0]}"
        )


def create(workdir: str | os.PathLike, overwrite: bool) -> Path:
    """Makes the folder; with `overwrite`, removes the files of an earlier run (no others)."""
    check_free(workdir, overwrite)
    folder = Path(workdir)
    folder.mkdir(parents=True, exist_ok=True)
    for name in FILES:
        (folder / name).unlink(missing_ok=True)
    return folder


def versions(seed: int) -> dict[str, Any]:
    """Python, platform, package versions and seed, for `versions.json`."""
    return {
        "seed": seed,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": {name: importlib.metadata.version(name) for name in PACKAGES},
    }
