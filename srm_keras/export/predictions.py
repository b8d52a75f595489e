"""Predictions for image files: found, decoded, classified, and written as a table."""

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from srm_keras.data.decode import pixels
from srm_keras.data.sources.image_folder.layout import SUFFIXES, images_below
from srm_keras.export.predictor import Predictor
from srm_keras.support.files import write_csv, write_json
from srm_keras.support.validation import positive_int

COLUMNS = ("image", "rank", "class", "index", "score")


@dataclass(frozen=True)
class Guess:
    """One class for an image.

    Attributes:
        class_name: Its name, or its number where names are not known.
        index: Its number.
        score: What the network gives it; a probability if the network ends in a softmax.
    """

    class_name: str
    index: int
    score: float


@dataclass(frozen=True)
class FilePrediction:
    """What came of an image file.

    Attributes:
        path: Of the file.
        guesses: The classes of the largest scores, the largest first; none for a broken file.
        error: Why the file is broken, else an empty string.
    """

    path: Path
    guesses: tuple[Guess, ...] = ()
    error: str = ""


def image_files(paths: Iterable[str | os.PathLike]) -> list[Path]:
    """Return files as they are named, and of folders all image files at any depth, sorted.

    Links to folders are followed, and what is passed over is told by suffix: ``images_below``.

    Raises:
        ValueError: A path does not exist, a folder holds no image or cannot be read, or there are
            no paths.
    """
    found: list[Path] = []
    for path in map(Path, paths):
        if not path.exists():
            raise ValueError(f"Images must exist. Received: {str(path)!r}")
        files = images_below(path) if path.is_dir() else [path]
        if not files:
            raise ValueError(
                f"A folder must hold images ({', '.join(SUFFIXES)}). Received: {str(path)!r}"
            )
        found += files
    if not found:
        raise ValueError("At least one image file or folder is required. Received: none")
    return found


def predict_files(
    predictor: Predictor, paths: Sequence[Path], top: int = 5, batch_size: int = 32
) -> Iterator[FilePrediction]:
    """Yield what the network sees in each file, in order; broken files are told and passed over.

    Args:
        predictor: Of ``load_predictor``.
        paths: Image files; grey and colour images are made what the network reads.
        top: Number of classes for each image; all of them if there are fewer.
        batch_size: Number of images that are in memory at a time.
    """
    positive_int("top", top)
    positive_int("batch_size", batch_size)
    for start in range(0, len(paths), batch_size):
        yield from _predict_batch(predictor, paths[start : start + batch_size], top)


def write_predictions(path: Path, predictions: Sequence[FilePrediction]) -> None:
    """Write ``.json``, an object for each file, or ``.csv``, a row for each guess; whole or not.

    Broken files have their ``error`` in JSON, and no row in CSV.
    """
    if path.suffix == ".json":
        write_json(path, [_as_json(prediction) for prediction in predictions])
    else:
        rows = [row for prediction in predictions for row in _rows(prediction)]
        write_csv(path, rows, COLUMNS)


def _predict_batch(
    predictor: Predictor, paths: Sequence[Path], top: int
) -> Iterator[FilePrediction]:
    decoded = [_decoded(path, predictor.preprocessing.channels) for path in paths]
    images = [image for image in decoded if not isinstance(image, str)]
    scores = iter(predictor.scores(images) if images else ())
    for path, image in zip(paths, decoded, strict=True):
        if isinstance(image, str):
            yield FilePrediction(path, error=image)
        else:
            yield FilePrediction(path, _guesses(predictor, next(scores), top))


def _decoded(path: Path, channels: int) -> np.ndarray | str:
    """uint8 (H, W, channels), or why there is none."""
    try:
        image = pixels(path.read_bytes())
    except OSError as error:
        return error.strerror or type(error).__name__
    except ValueError as error:
        return str(error)
    return tf.image.rgb_to_grayscale(image).numpy() if channels == 1 else image


def _guesses(predictor: Predictor, scores: np.ndarray, top: int) -> tuple[Guess, ...]:
    order = np.argsort(-scores, kind="stable")[:top]
    return tuple(
        Guess(predictor.class_name(index), int(index), float(scores[index])) for index in order
    )


def _rows(prediction: FilePrediction) -> list[dict[str, Any]]:
    return [
        dict(zip(COLUMNS, (prediction.path, rank, *_values(guess)), strict=True))
        for rank, guess in enumerate(prediction.guesses, start=1)
    ]


def _as_json(prediction: FilePrediction) -> dict[str, Any]:
    image = {"image": str(prediction.path)}
    if prediction.error:
        return {**image, "error": prediction.error}
    names = COLUMNS[2:]
    guesses = [dict(zip(names, _values(guess), strict=True)) for guess in prediction.guesses]
    return {**image, "predictions": guesses}


def _values(guess: Guess) -> tuple[str, int, float]:
    return guess.class_name, guess.index, guess.score
