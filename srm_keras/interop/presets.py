"""Trained networks with all that is needed to use them: folders without code."""

import hashlib
import json
import os
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras

from srm_keras.data import Preprocessing
from srm_keras.interop.cards import network_facts, readme
from srm_keras.interop.hub import PREFIX, download
from srm_keras.models.keras_files import reading
from srm_keras.models.keras_files.reading import (
    check_names,
    json_of,
    network_of,
    parts_of,
    read_archive,
    too_large,
)
from srm_keras.models.surgery.functional import without_dropping
from srm_keras.support.files import (
    LFS_POINTER,
    as_json,
    is_lfs_pointer,
    json_text,
    write_atomically,
)
from srm_keras.version import __version__

PREPROCESSING = "preprocessing.json"
CLASSES = "classes.json"
CARD = "card.json"
README = "README.md"
MANIFEST = "manifest.json"
FORMAT = "srm-keras preset 1"

_SMALL = 4 * 2**20
_DESCRIPTIONS = dict.fromkeys((PREPROCESSING, CLASSES, CARD, README, MANIFEST), _SMALL)
LIMITS: Mapping[str, int] = {**reading.LIMITS, **_DESCRIPTIONS}
"""Every file of a preset, and how many bytes it may have."""

Parts = Mapping[str, bytes]


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
    ``srm_keras.training.save_run_as_preset`` makes one of a run. ``StochasticDepth`` and
    ``Dropout`` of this package, which do nothing at inference, are left out.

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
    model = without_dropping(model)
    given = dict(card or {})
    whole = as_json(
        {
            "name": given.get("name", model.name),
            **given,
            "network": network_facts(model),
            "versions": {"srm-keras": __version__, "keras": keras.version()},
        }
    )
    parts = {
        **parts_of(model),
        PREPROCESSING: _json(preprocessing.to_dict()),
        CLASSES: _json(list(classes)),
        CARD: _json(whole),
        README: readme(whole, preprocessing.to_dict(), classes).encode(),
    }
    parts = with_manifest(parts)
    write_atomically(path, lambda temporary: _write(temporary, parts))
    return Preset(model, preprocessing, tuple(classes), whole, sha256(parts[MANIFEST]))


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
    path = download(origin, LIMITS) if origin.startswith(PREFIX) else Path(source)
    parts = read_preset_files(path, origin)
    classes, card = (json_of(parts, name, origin) for name in (CLASSES, CARD))
    if not _are_names(classes) or not isinstance(card, dict):
        raise ValueError(f"{origin} is damaged: {CLASSES} or {CARD} is none")
    try:
        preprocessing = Preprocessing.from_dict(json_of(parts, PREPROCESSING, origin))
    except (TypeError, ValueError) as error:
        raise ValueError(f"{origin} is damaged: {PREPROCESSING}: {error}") from None
    model = network_of(parts, origin)
    _check_fit(model, preprocessing, classes)
    return Preset(model, preprocessing, tuple(classes), card, sha256(parts[MANIFEST]))


def is_preset_name(source: str | os.PathLike) -> bool:
    """Whether this is to be loaded as a preset, damaged as it may be.

    That is ``hf://…``, a ``.zip`` file, or a folder with a manifest.
    """
    path = Path(source)
    named = os.fspath(source).startswith(PREFIX) or path.suffix == ".zip"
    return named or (path / MANIFEST).is_file()


def _check_free(path: Path, overwrite: bool) -> None:
    if not path.exists() or (path.is_dir() and not any(path.iterdir())):
        return
    if not is_preset(path):
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
    return (json_text(value, indent=2) + "\n").encode()


def _write(path: Path, parts: Mapping[str, bytes]) -> None:
    if path.suffix != ".zip":
        path.mkdir()
        for name, content in parts.items():
            (path / name).write_bytes(content)
        return
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)


def sha256(content: bytes) -> str:
    """The SHA-256 of bytes, in hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()


def with_manifest(parts: Parts) -> dict[str, bytes]:
    """The files and, as ``manifest.json``, the size and SHA-256 of each."""
    files = {
        name: {"size_bytes": len(content), "sha256": sha256(content)}
        for name, content in sorted(parts.items())
    }
    manifest = json.dumps({"format": FORMAT, "files": files}, indent=2) + "\n"
    return {**parts, MANIFEST: manifest.encode()}


def is_preset(path: Path) -> bool:
    """Whether a folder or file says that it is a preset, be it whole or not."""
    try:
        manifest = json.loads(_content(path, MANIFEST))
    except (OSError, KeyError, ValueError, RuntimeError, zipfile.BadZipFile, zlib.error):
        return False
    return isinstance(manifest, Mapping) and manifest.get("format") == FORMAT


def read_preset_files(path: Path, origin: str) -> dict[str, bytes]:
    """Read all files of a preset, a folder or a zip file, and verify them.

    Args:
        path: Of the folder or the zip file.
        origin: What an error calls it.

    Raises:
        ValueError: It is no preset, holds other files, or a file is not the one that was saved.
    """
    if path.is_dir():
        parts = _read_folder(path, origin)
    elif path.is_file():
        parts = read_archive(path, LIMITS)
    else:
        raise ValueError(
            "`source` must be a folder or a .zip file that exists, or hf://USER/REPOSITORY. "
            f"Received: source={origin!r}"
        )
    _verify(parts, origin)
    return parts


def read_card(path: Path) -> Any:
    """Read the card of a preset, a folder or a zip file, and nothing else of it."""
    return json.loads(_content(path, CARD))


def _content(path: Path, name: str) -> bytes:
    if path.is_dir():
        return (path / name).read_bytes()
    with zipfile.ZipFile(path) as archive:
        return archive.read(name)


def _read_folder(folder: Path, origin: str) -> dict[str, bytes]:
    """The files of a folder; hidden ones, such as ``.gitattributes``, do not count."""
    entries = [path for path in folder.iterdir() if not path.name.startswith(".")]
    check_names((path.name for path in entries), LIMITS, origin)
    contents = {}
    for path in entries:
        if not path.is_file():
            raise ValueError(f"{origin} is refused: {path.name} is no file")
        if path.stat().st_size > LIMITS[path.name]:
            raise too_large(origin, path.name, path.stat().st_size, LIMITS[path.name])
        contents[path.name] = path.read_bytes()
        if is_lfs_pointer(contents[path.name]):
            raise ValueError(f"{origin} is refused: {path.name} is {LFS_POINTER}")
    return contents


def _verify(parts: Parts, origin: str) -> None:
    """Compare sizes and check sums with the manifest."""
    manifest = json_of(parts, MANIFEST, origin)
    if not isinstance(manifest, Mapping) or manifest.get("format") != FORMAT:
        raise ValueError(f"{origin} is refused: {MANIFEST} must say format={FORMAT!r}")
    expected = json.loads(with_manifest(_without_manifest(parts))[MANIFEST])["files"]
    stated = manifest.get("files")
    if stated == expected:
        return
    stated = stated if isinstance(stated, Mapping) else {}
    changed = [name for name in expected if stated.get(name) != expected[name]]
    changed += [str(name) for name in stated if name not in expected]
    raise ValueError(
        f"{origin} is refused: not as it was saved, by size or SHA-256: {', '.join(changed)}"
    )


def _without_manifest(parts: Parts) -> Parts:
    return {name: content for name, content in parts.items() if name != MANIFEST}
