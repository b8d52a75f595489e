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
from srm_keras.interop.trained import (
    Companions,
    as_classes,
    as_preprocessing,
    companions_beside,
    companions_in,
    read_description,
    read_trained,
    trained_kind,
)
from srm_keras.support.files import check_no_lfs_pointer
from srm_keras.support.foreign import first_line, require, unreadable
from srm_keras.support.validation import class_names

_FILES = ("run", "keras", "torch")
"""Kinds of ``trained_kind`` that may be damaged in ways that libraries tell at length."""


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
        path: What ``interop.read_trained`` takes (a run folder, a preset, a file, a name such as
            ``"timm/seresnet50.ra2_in1k"``), the folder of a SavedModel, a ``.tflite`` or an
            ``.onnx`` file. The last three carry preprocessing and names if they were exported with
            them; else, as for ``.keras``, they are read from ``preprocessing.json`` and
            ``classes.json`` beside the file.
        preprocessing: Instead of what is found.
        classes: Instead of what is found.

    Raises:
        ValueError: The file is of no such kind or cannot be run, preprocessing is nowhere to be
            found, or preprocessing or names do not fit the network.
        ImportError: Onnx or onnxruntime, or for ``hf://`` huggingface_hub, are not installed.
    """
    load, own, found = _opened(path)
    preprocessing = preprocessing or found[0]
    names = found[1] if classes is None else class_names("classes", classes)
    if preprocessing is None:
        raise ValueError(
            f"`preprocessing` is needed: {str(path)!r} does not say how its images are to be "
            f"prepared, and no preprocessing.json lies beside it"
        )
    predictor = Predictor(load(), preprocessing, names)
    _check_shape(_shape_of_input(predictor.runner, own[0]), preprocessing, path)
    _check_fit(predictor, path)
    return predictor


def _opened(path: str | os.PathLike) -> tuple[Callable[[], Runner], Companions, Companions]:
    """What makes the runner, what the network says of itself, and what is known in all."""
    if (kind := trained_kind(path)) is None:
        return _opened_file(Path(path))
    trained = _told(read_trained, path) if kind in _FILES else read_trained(path, field="path")
    found = (trained.preprocessing, trained.classes)
    own = found if kind not in ("run", "keras") else (None, None)
    return partial(keras_runner, trained.model), own, found


def _opened_file(path: Path) -> tuple[Callable[[], Runner], Companions, Companions]:
    """The same of an exported file or folder, with what lies beside it."""
    load, read = _format(path)
    if path.is_file():
        check_no_lfs_pointer("path", path)
    own = _told(read, path)
    return partial(_told, load, path), own, _first_of(own, companions_beside(path))


def _format(path: Path) -> tuple[Callable[[Path], Runner], Callable[[Path], Companions]]:
    """What loads the file, and what reads what it says of images and classes."""
    if (path / "saved_model.pb").is_file():
        return saved_model_runner, lambda folder: companions_in(folder / "assets")
    kinds = {
        ".tflite": (TFLiteRunner, read_metadata),
        ".onnx": (onnx_runner, _in_onnx),
    }
    if path.is_file() and path.suffix in kinds:
        return kinds[path.suffix]
    raise ValueError(
        "`path` must be a run folder with best.keras, a preset, a SavedModel, or a file *.keras, "
        f"*.tflite or *.onnx. Received: path={str(path)!r}, {_kind(path)}"
    )


def _kind(path: Path) -> str:
    if path.is_dir():
        return "a folder of another kind"
    return "another file" if path.exists() else "which does not exist"


def _told(read: Callable[[Any], Any], path: str | os.PathLike) -> Any:
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
        None if preprocessing is None else as_preprocessing(preprocessing, path),
        None if classes is None else as_classes(classes, path),
    )


def _first_of(one: Companions, other: Companions) -> Companions:
    return one[0] or other[0], other[1] if one[1] is None else one[1]


def read_classes(path: str | os.PathLike) -> tuple[str, ...]:
    """Return class names in a file: JSON, a list, or else text, one name a line.

    Raises:
        ValueError: The file cannot be read, or is JSON of another kind.
    """
    if Path(path).suffix == ".json":
        return as_classes(read_description(path), path)
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{str(path)!r} cannot be read ({error})") from None
    return as_classes(list(names_in(text)), path)


def _shape_of_input(runner: Runner, own: Preprocessing | None) -> tuple[int, ...] | None:
    """Shape of one image as far as the file tells it, unknown sides -1; or None.

    SavedModels and TFLite files run images of another size too where their layers happen to, and
    predict nonsense.
    """
    if own is not None:
        return own.image_shape
    if isinstance(runner, TFLiteRunner):
        return tuple(int(side) for side in runner.input["shape_signature"][1:])
    return None


def _check_shape(
    expected: tuple[int, ...] | None, preprocessing: Preprocessing, path: str | os.PathLike
) -> None:
    shape = preprocessing.image_shape
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
