"""A trained network with what belongs to it, from any file that this package makes of it."""

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import srm_keras.layers  # noqa: F401  for networks saved with them
from srm_keras.data import Preprocessing
from srm_keras.export.runners import (
    Runner,
    TFLiteRunner,
    keras_runner,
    onnx_runner,
    saved_model_runner,
)
from srm_keras.export.tflite.metadata import names_in, read_metadata
from srm_keras.interop.presets import is_preset_name, load_preset
from srm_keras.models.keras_files import read_keras_file
from srm_keras.support.files import check_no_lfs_pointer, read_json
from srm_keras.support.foreign import first_line, require, unreadable
from srm_keras.support.validation import class_names

PREPROCESSING = "preprocessing.json"
CLASSES = "classes.json"

Companions = tuple[Preprocessing | None, tuple[str, ...] | None]
"""What a file says of its images and classes, None for what it does not say."""


@dataclass(frozen=True)
class Predictor:
    """A network that takes images as they come.

    Attributes:
        runner: From prepared images to scores.
        preprocessing: How to prepare images.
        classes: Names in the order of the scores, or None where nobody knows them.
    """

    runner: Runner
    preprocessing: Preprocessing
    classes: tuple[str, ...] | None

    def scores(self, images: Sequence[np.ndarray]) -> np.ndarray:
        """Scores (N, classes) of N images, each uint8 (H, W, channels) of a size of its own."""
        prepared = [self.preprocessing.evaluation(image).numpy() for image in images]
        return self.runner(np.stack(prepared))

    def class_name(self, index: int) -> str:
        """Name of a class, or its number where names are not known."""
        return str(index) if self.classes is None else self.classes[index]


def load_predictor(
    path: str | os.PathLike,
    preprocessing: Preprocessing | None = None,
    classes: Sequence[str] | None = None,
) -> Predictor:
    """Return a network with its preprocessing and class names, whatever the format.

    Args:
        path: A run folder of ``train`` (its best weights), a preset (a folder, a ``.zip``
            file or ``hf://…``), a ``.keras`` file, the folder of a SavedModel, a ``.tflite`` or an
            ``.onnx`` file. The last three carry preprocessing and names if they were exported with
            them; else, as for ``.keras``, they are read from ``preprocessing.json`` and
            ``classes.json`` beside the file. Of a ``.keras`` file and a preset nothing is run.
        preprocessing: Instead of what is found.
        classes: Instead of what is found.

    Raises:
        ValueError: The file is of no such kind or cannot be run, preprocessing is nowhere to be
            found, or preprocessing or names do not fit the network.
        ImportError: Onnx or onnxruntime, or for ``hf://`` huggingface_hub, are not installed.
    """
    load, own, found = _opened_preset(path) if is_preset_name(path) else _opened_file(Path(path))
    preprocessing = preprocessing or found[0]
    names = found[1] if classes is None else class_names("classes", classes)
    if preprocessing is None:
        raise ValueError(
            f"`preprocessing` is needed: {str(path)!r} does not say how its images are to be "
            f"prepared, and no {PREPROCESSING} lies beside it"
        )
    predictor = Predictor(load(), preprocessing, names)
    _check_shape(_shape_of_input(predictor.runner, own[0]), preprocessing, path)
    _check_fit(predictor, path)
    return predictor


def _opened_preset(path: str | os.PathLike) -> tuple[Callable[[], Runner], Companions, Companions]:
    """What makes the runner, what the preset says of itself, and what is known in all."""
    preset = load_preset(path)
    own = (preset.preprocessing, preset.classes)
    return partial(keras_runner, preset.model), own, own


def _opened_file(path: Path) -> tuple[Callable[[], Runner], Companions, Companions]:
    """The same of a file or folder, with what lies beside it."""
    file, load, read = _format(path)
    if file.is_file():
        check_no_lfs_pointer("path", file)
    own = _told(read, file)
    return partial(_told, load, file), own, _first_of(own, companions_beside(file))


def _format(path: Path) -> tuple[Path, Callable[[Path], Runner], Callable[[Path], Companions]]:
    """The file to load, what loads it, and what reads what it says of images and classes."""
    if (path / "best.keras").is_file():
        return path / "best.keras", _load_keras, _nothing
    if (path / "saved_model.pb").is_file():
        return path, saved_model_runner, lambda folder: _in_folder(folder / "assets")
    kinds = {
        ".keras": (_load_keras, _nothing),
        ".tflite": (TFLiteRunner, read_metadata),
        ".onnx": (onnx_runner, _in_onnx),
    }
    if path.is_file() and path.suffix in kinds:
        return path, *kinds[path.suffix]
    raise ValueError(
        "`path` must be a run folder with best.keras, a preset, a SavedModel, or a file *.keras, "
        f"*.tflite or *.onnx. Received: path={str(path)!r}, {_kind(path)}"
    )


def _kind(path: Path) -> str:
    if path.is_dir():
        return "a folder of another kind"
    return "another file" if path.exists() else "which does not exist"


def _load_keras(path: Path) -> Runner:
    return keras_runner(read_keras_file(path))


def _told(read: Callable[[Path], Any], path: Path) -> Any:
    """What ``read`` makes of the file; the errors of many libraries in one line."""
    try:
        return read(path)
    except ImportError:
        raise
    except Exception as error:
        raise ValueError(
            f"`path` must be a network that can be loaded ({first_line(error)}). "
            f"Received: path={str(path)!r}"
        ) from error


def _nothing(path: Path) -> Companions:
    return None, None


def companions_beside(path: Path) -> Companions:
    """Preprocessing and class names in the folder of a file, None for what is not there."""
    return _in_folder(path.parent)


def _in_folder(folder: Path) -> Companions:
    preprocessing, classes = folder / PREPROCESSING, folder / CLASSES
    return (
        read_preprocessing(preprocessing) if preprocessing.is_file() else None,
        read_classes(classes) if classes.is_file() else None,
    )


def _in_onnx(path: Path) -> Companions:
    onnx = require("onnx")
    try:
        model = onnx.load(os.fspath(path), load_external_data=False)
        properties = {entry.key: entry.value for entry in model.metadata_props}
        preprocessing, classes = (
            json.loads(properties[name]) if properties.get(name) else None
            for name in ("preprocessing", "classes")
        )
    except Exception as error:  # Of protobuf and json.
        raise unreadable(path, "onnx", error) from error
    return (
        None if preprocessing is None else _preprocessing(preprocessing, path),
        None if classes is None else _classes(classes, path),
    )


def _first_of(one: Companions, other: Companions) -> Companions:
    return one[0] or other[0], other[1] if one[1] is None else one[1]


def read_preprocessing(path: str | os.PathLike) -> Preprocessing:
    """Return the preprocessing in a JSON file; raises ``ValueError`` for any other file."""
    return _preprocessing(_json(path), path)


def read_classes(path: str | os.PathLike) -> tuple[str, ...]:
    """Return class names in a file: JSON, a list, or else text, one name a line.

    Raises:
        ValueError: The file cannot be read, or is JSON of another kind.
    """
    if Path(path).suffix == ".json":
        return _classes(_json(path), path)
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{str(path)!r} cannot be read ({error})") from None
    return _classes(list(names_in(text)), path)


def _json(path: str | os.PathLike) -> Any:
    try:
        return read_json(path)
    except (OSError, ValueError, RecursionError) as error:
        raise ValueError(f"{str(path)!r} cannot be read ({error})") from None


def _preprocessing(attributes: Any, path: str | os.PathLike) -> Preprocessing:
    try:
        return Preprocessing.from_dict(attributes)
    except (TypeError, ValueError, AttributeError) as error:
        raise ValueError(f"{str(path)!r} holds no preprocessing ({error})") from None


def _classes(names: Any, path: str | os.PathLike) -> tuple[str, ...]:
    if not isinstance(names, list):
        raise ValueError(f"{str(path)!r} holds no list of class names. Received: {names!r}")
    try:
        return class_names("classes", names)
    except ValueError as error:
        raise ValueError(f"{str(path)!r} holds no list of class names: {error}") from None


def _shape(preprocessing: Preprocessing) -> tuple[int, int, int]:
    return preprocessing.image_size, preprocessing.image_size, preprocessing.channels


def _shape_of_input(runner: Runner, own: Preprocessing | None) -> tuple[int, ...] | None:
    """Shape of one image as far as the file tells it, unknown sides -1; or None.

    SavedModels and TFLite files run images of another size too where their layers happen to, and
    predict nonsense.
    """
    if own is not None:
        return _shape(own)
    if isinstance(runner, TFLiteRunner):
        return tuple(int(side) for side in runner.input["shape_signature"][1:])
    return None


def _check_shape(
    expected: tuple[int, ...] | None, preprocessing: Preprocessing, path: str | os.PathLike
) -> None:
    shape = _shape(preprocessing)
    fits = expected is None or (
        len(expected) == len(shape)
        and all(one in (-1, other) for one, other in zip(expected, shape, strict=True))
    )
    if not fits:
        raise ValueError(
            f"`preprocessing` must make what the network reads, {expected}. Received: "
            f"image_size={shape[0]}, channels={shape[2]} for {str(path)!r}"
        )


def _check_fit(predictor: Predictor, path: str | os.PathLike) -> None:
    """Run one black image, to see that all parts fit together."""
    size, channels = predictor.preprocessing.image_size, predictor.preprocessing.channels
    try:
        scores = predictor.scores([np.zeros((size, size, channels), "uint8")])
    except Exception as error:
        raise ValueError(
            f"`preprocessing` must make what the network reads ({first_line(error)}). Received: "
            f"image_size={size}, channels={channels} for {str(path)!r}"
        ) from error
    if scores.ndim != 2:
        raise ValueError(
            "`path` must be a classifier, with scores (N, classes). Received: "
            f"path={str(path)!r} with outputs of shape {scores.shape}"
        )
    if predictor.classes is not None and len(predictor.classes) != scores.shape[1]:
        raise ValueError(
            f"`classes` must be as many as the network has scores, {scores.shape[1]}. "
            f"Received: {len(predictor.classes)} for {str(path)!r}"
        )
