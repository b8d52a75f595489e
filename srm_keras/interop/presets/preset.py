"""Saving and loading presets, also in repositories of the Hugging Face Hub."""

import json
import os
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras

from srm_keras.data import Preprocessing
from srm_keras.interop.cards import network_facts, readme
from srm_keras.interop.hub import PREFIX, download
from srm_keras.interop.presets import preset_files as files
from srm_keras.models.keras_files.reading import json_of, network_of, parts_of
from srm_keras.support.files import write_atomically
from srm_keras.version import __version__


@dataclass(frozen=True)
class Preset:
    """A trained network and what is needed to use it.

    Attributes:
        model: The network, not compiled; its input is what ``preprocessing`` makes.
        preprocessing: How images are prepared.
        classes: The name of each output.
        card: Recipe, data, metrics, versions and whatever else was saved.
        sha256: Of the manifest, which holds those of all other files: the same for the same preset.
    """

    model: keras.Model
    preprocessing: Preprocessing
    classes: tuple[str, ...]
    card: dict[str, Any]
    sha256: str


def save_preset(
    model: keras.Model,
    path: str | os.PathLike,
    preprocessing: Preprocessing,
    classes: Sequence[str],
    card: Mapping[str, Any] | None = None,
    overwrite: bool = False,
) -> Preset:
    """Save a network as a preset: a folder, or one file where ``path`` ends in ``.zip``.

    It holds ``config.json``, ``metadata.json`` and ``model.weights.h5`` (what Keras makes of a
    model: it loads the folder as well), ``preprocessing.json``, ``classes.json``, ``card.json``,
    ``README.md`` (the same to read, with the front matter of the Hugging Face Hub) and
    ``manifest.json`` with the size and SHA-256 of every other file.
    ``srm_keras.training.save_run_as_preset`` makes one of a run.

    Args:
        model: A functional or Sequential network of stock layers and those of this package.
        path: Of the folder or the ``.zip`` file. All of it is written or nothing.
        preprocessing: What makes its inputs.
        classes: The name of each output.
        card: What else to say, as JSON can hold it. Known are ``name``, ``description``,
            ``license`` (a name of the Hub, such as ``"cc-by-4.0"``), ``data``, ``recipe``,
            ``metrics`` (for each split, scores by their names); any other is listed as it is.
        overwrite: Whether a preset that is there is replaced.

    Returns:
        The preset as it was saved.

    Raises:
        ValueError: The network has another class of layer, does not fit ``preprocessing`` or
            ``classes``, or ``path`` is taken.
    """
    path = Path(path)
    _check_free(path, overwrite)
    _check_fit(model, preprocessing, classes)
    given = dict(card or {})
    whole = {
        "name": given.get("name", model.name),
        **given,
        "network": network_facts(model),
        "versions": {"srm-keras": __version__, "keras": keras.version()},
    }
    parts = {
        **parts_of(model),
        files.PREPROCESSING: _json(preprocessing.to_dict()),
        files.CLASSES: _json(list(classes)),
        files.CARD: _json(whole),
        files.README: readme(whole, preprocessing.to_dict(), classes).encode(),
    }
    parts = files.with_manifest(parts)
    write_atomically(path, lambda temporary: _write(temporary, parts))
    stored = json.loads(parts[files.CARD])
    sha256 = files.sha256(parts[files.MANIFEST])
    return Preset(model, preprocessing, tuple(classes), stored, sha256)


def load_preset(source: str | os.PathLike) -> Preset:
    """Load a preset. Nothing that it holds is run.

    Check sums and sizes of all files are compared with the manifest, and no class is made that is
    not a stock layer of a network or one of this package. Check sums tell damage, not intent: who
    can write the folder can write a manifest. To be sure of a preset, compare ``Preset.sha256``.

    Args:
        source: A folder, a ``.zip`` file, or ``hf://USER/REPOSITORY@REVISION`` (needs
            ``pip install huggingface-hub``).

    Raises:
        ValueError: There is no preset, it was changed, or it names a class that is not allowed.
        ImportError: ``hf://`` without huggingface_hub.
    """
    origin = os.fspath(source)
    path = download(origin, files.LIMITS) if origin.startswith(PREFIX) else Path(source)
    parts = files.read_preset_files(path, origin)
    classes, card = (json_of(parts, name, origin) for name in (files.CLASSES, files.CARD))
    if not _are_names(classes) or not isinstance(card, dict):
        raise ValueError(f"{origin} is damaged: {files.CLASSES} or {files.CARD} is none")
    try:
        preprocessing = Preprocessing.from_dict(json_of(parts, files.PREPROCESSING, origin))
    except (TypeError, ValueError) as error:
        raise ValueError(f"{origin} is damaged: {files.PREPROCESSING}: {error}") from None
    model = network_of(parts, origin)
    _check_fit(model, preprocessing, classes)
    sha256 = files.sha256(parts[files.MANIFEST])
    return Preset(model, preprocessing, tuple(classes), card, sha256)


def is_preset_name(source: str | os.PathLike) -> bool:
    """Whether this is to be loaded as a preset, damaged as it may be.

    That is ``hf://…``, a ``.zip`` file, or a folder with a manifest.
    """
    path = Path(source)
    named = os.fspath(source).startswith(PREFIX) or path.suffix == ".zip"
    return named or (path / files.MANIFEST).is_file()


def _check_free(path: Path, overwrite: bool) -> None:
    if not path.exists() or (path.is_dir() and not any(path.iterdir())):
        return
    if not files.is_preset(path):
        raise ValueError(f"`path` must be free or a preset. Received: path={str(path)!r}")
    if not overwrite:
        raise ValueError(
            f"`path` holds a preset: choose another or pass `overwrite`. Received: {str(path)!r}"
        )


def _check_fit(model: keras.Model, preprocessing: Preprocessing, classes: Sequence[str]) -> None:
    """Raise ``ValueError`` unless inputs, outputs and their descriptions agree."""
    if not _are_names(list(classes)) or len(model.outputs) != 1 or len(model.inputs) != 1:
        raise ValueError(
            "`model` must have one input and one output, and `classes` be its names. "
            f"Received: {len(model.inputs)} inputs, {len(model.outputs)} outputs, "
            f"classes={list(classes)!r}"
        )
    shape, size = model.output_shape, preprocessing.image_size
    if len(shape) != 2 or shape[-1] != len(classes):
        raise ValueError(
            f"`classes` must name each of the outputs of shape {shape}. "
            f"Received: {len(classes)} names"
        )
    images = [(size, size, preprocessing.channels), (preprocessing.channels, size, size)]
    if not any(_fits(model.input_shape[1:], image) for image in images):
        raise ValueError(
            f"`preprocessing` must make images of shape {model.input_shape[1:]}. "
            f"Received: image_size={size}, channels={preprocessing.channels}"
        )


def _fits(shape: Sequence[int | None], image: Sequence[int]) -> bool:
    sides = zip(shape, image, strict=True)
    return len(shape) == 3 and all(side in (None, given) for side, given in sides)


def _are_names(classes: Any) -> bool:
    return (
        isinstance(classes, list) and bool(classes) and all(type(name) is str for name in classes)
    )


def _json(value: Any) -> bytes:
    return (json.dumps(value, indent=2, ensure_ascii=False, default=str) + "\n").encode()


def _write(path: Path, parts: Mapping[str, bytes]) -> None:
    if path.suffix != ".zip":
        path.mkdir()
        for name, content in parts.items():
            (path / name).write_bytes(content)
        return
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
