"""The trained network that a recipe's `init` names."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import keras

from srm_keras.files import read_json
from srm_keras.interop.presets import is_preset_name, load_preset
from srm_keras.models.keras_files import read_keras_file
from srm_keras.training import run_folder


@dataclass(frozen=True)
class InitialNetwork:
    """A trained network.

    Attributes:
        model: The network, uncompiled.
        classes: The name of each output, or None where it is not known.
        sha256: Of the file, or of the preset's manifest.
    """

    model: keras.Model
    classes: tuple[str, ...] | None
    sha256: str


def read_initial_network(init: str) -> InitialNetwork:
    """Reads what a recipe's `init` names; nothing in it is run.

    Args:
        init: A preset (folder, `.zip` file or `hf://USER/REPOSITORY@REVISION`), a run folder, of
            which `best.keras` is taken, or a `.keras` file, of a run or any other.

    Raises:
        ValueError: If there is none, or it is damaged or names foreign classes.
        ImportError: `hf://` without huggingface_hub.
    """
    path = Path(init)
    if is_preset_name(init):
        preset = load_preset(init)
        return InitialNetwork(preset.model, preset.classes, preset.sha256)
    file = path / run_folder.BEST if path.is_dir() else path
    if not file.is_file() or file.suffix != ".keras":
        raise ValueError(
            "`init` must be a preset, a run folder with at least one evaluation done, or a .keras "
            f"file. Received: init={init!r}, which {_reason(path)}"
        )
    model = read_keras_file(file)
    with file.open("rb") as content:
        sha256 = hashlib.file_digest(content, "sha256").hexdigest()
    return InitialNetwork(model, _classes_of_run(file.parent), sha256)


def _classes_of_run(folder: Path) -> tuple[str, ...] | None:
    path = folder / run_folder.CLASSES
    return tuple(read_json(path)) if path.is_file() else None


def _reason(path: Path) -> str:
    return "is none of these" if path.exists() else "does not exist"
