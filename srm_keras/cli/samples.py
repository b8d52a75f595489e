"""Images for a command: of a run's evaluation split, and of files."""

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from srm_keras.data import Examples, Preprocessing
from srm_keras.data.decode import file_pixels
from srm_keras.data.sources.prepared import Records
from srm_keras.support.foreign import first_line
from srm_keras.support.timing import with_progress
from srm_keras.training import Run, training_examples, validation_examples


def pixels(preprocessing: Preprocessing, inputs: np.ndarray) -> np.ndarray:
    """Return prepared images (N, H, W, C) as uint8: standardization undone."""
    scale, offset = (np.array(values) for values in preprocessing.scale_and_offset())
    return np.rint((inputs - offset) / scale).clip(0, 255).astype("uint8")


def file_inputs(preprocessing: Preprocessing, files: Sequence[Path]) -> np.ndarray:
    """Return image files prepared for a network, float32 (N, H, W, C).

    Raises:
        ValueError: A file cannot be decoded.
    """
    return np.stack([_prepared(preprocessing, file) for file in files])


def _prepared(preprocessing: Preprocessing, file: Path) -> np.ndarray:
    import tensorflow as tf

    image = file_pixels(file)
    if preprocessing.channels == 1:
        image = tf.image.rgb_to_grayscale(image)
    return preprocessing.evaluation(image).numpy()


@dataclass(frozen=True)
class Samples:
    """Some examples of the split that a run is validated on.

    Attributes:
        split: Name of the split.
        images: The images as they came, each uint8 (H, W, C).
        inputs: The same, prepared for the network: float32 (N, image_size, image_size, channels).
        labels: (N,) integers.
    """

    split: str
    images: list[np.ndarray]
    inputs: np.ndarray
    labels: np.ndarray


class SampleBatches:
    """Images for a run in batches, read and prepared anew at every pass.

    They are examples of its evaluation split, or image files, whose labels are -1.

    A batch is in memory, and with some users the one before it, however many examples there are.
    Iterating yields (inputs, labels): float32 (N, image_size, image_size, channels) and integers
    (N,). stderr is told how far a pass has come.

    Args:
        run: Whose data and preparation it is.
        count: Of examples from all over the split; all of them if there are fewer, or for None.
        batch_size: Of all batches but the last.
        files: Image files, which are taken instead of the split.

    Attributes:
        split: Name of the split; "images" of files.
        positions: Where in the split, or among the files, the images are.
        preprocessing: That of the run.

    Raises:
        ValueError: The run does not say what data it was trained on, or it cannot be had.
    """

    def __init__(self, run: Run, count: int | None, batch_size: int, files: Sequence[Path] = ()):
        self._examples: Any
        self.split, self._examples = ("images", files) if files else _validation(run)
        self.positions = _positions(self._examples, count)
        self.preprocessing = run.preprocessing
        self._files = files
        self._batch_size, self._done = batch_size, "read"

    def __iter__(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        starts = range(0, len(self.positions), self._batch_size)
        for start in with_progress(starts, len(starts), self._done, "batches"):
            yield self.read(self.positions[start : start + self._batch_size])

    def told(self, done: str) -> "SampleBatches":
        """Return the same batches with other words for stderr."""
        same = copy.copy(self)
        same._done = done
        return same

    @property
    def shown(self) -> "ShownImages":
        """The same examples as pictures, each read when it is asked for."""
        return ShownImages(self)

    def read(self, positions: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
        """Return (inputs, labels) of the images at these positions."""
        if self._files:
            chosen = [self._files[position] for position in positions]
            return file_inputs(self.preprocessing, chosen), np.full(len(chosen), -1)
        chosen = self._examples.subset(positions)
        prepared, labels = [], []
        for image, label in chosen.dataset().as_numpy_iterator():
            prepared.append(self.preprocessing.evaluation(image).numpy())
            labels.append(label)
        return np.stack(prepared), np.array(labels)


class ShownImages(Sequence[np.ndarray]):
    """What networks see of the examples of ``batches``: each uint8 (H, W, C), none kept."""

    def __init__(self, batches: SampleBatches):
        self._batches = batches

    def __len__(self) -> int:
        return len(self._batches.positions)

    def __getitem__(self, index: Any) -> Any:
        inputs, _ = self._batches.read([self._batches.positions[index]])
        return pixels(self._batches.preprocessing, inputs)[0]


def export_inputs(
    run: Run, samples: int, representative: int, files: Sequence[Path] = ()
) -> tuple[np.ndarray, np.ndarray]:
    """Return prepared images to compare outputs on, and to take the ranges of tensors from.

    Args:
        run: From whose data they are taken, unless there are ``files``.
        samples: How many to compare on.
        representative: How many for the ranges.
        files: Image files, from all over which both are taken.

    Raises:
        ValueError: A file cannot be decoded, or the data of the run cannot be had.
    """
    if files:
        counts = (min(count, len(files)) for count in (samples, representative))
        chosen = ([files[k * len(files) // count] for k in range(count)] for count in counts)
        compared, ranges = (file_inputs(run.preprocessing, each) for each in chosen)
        return compared, ranges
    try:
        return evaluation_samples(run, samples).inputs, representative_inputs(run, representative)
    except Exception as error:  # A preset's card may say anything.
        raise ValueError(
            f"`--images` is needed: the data of the recipe cannot be had ({first_line(error)})"
        ) from error


def evaluation_samples(run: Run, count: int) -> Samples:
    """Return ``count`` examples from all over the split, or all if there are fewer.

    Raises:
        ValueError: The network does not say what data it was trained on, or it cannot be had.
    """
    split, examples = _validation(run)
    return _samples(run, split, examples, count)


def _validation(run: Run) -> tuple[str, Any]:
    if not run.recipe.data:
        raise ValueError(f"{run.model.name!r} does not say what data it was trained on")
    return validation_examples(run.recipe)


def representative_inputs(run: Run, count: int) -> np.ndarray:
    """Return ``count`` prepared images from all over what the run was trained on.

    They are prepared as for evaluation, float32 (N, image_size, image_size, channels).
    """
    return _samples(run, "train", training_examples(run.recipe), count).inputs


def _samples(run: Run, split: str, examples: Examples | Records, count: int) -> Samples:
    """Examples at even distances: sources list their images class by class."""
    chosen = examples.subset(_positions(examples, count))
    pairs = list(chosen.dataset().as_numpy_iterator())
    images = [image for image, _ in pairs]
    inputs = np.stack([run.preprocessing.evaluation(image).numpy() for image in images])
    return Samples(split, images, inputs, np.array([label for _, label in pairs]))


def _positions(examples: Examples | Records | Sequence, count: int | None) -> list[int]:
    count = len(examples) if count is None else min(count, len(examples))
    return [k * len(examples) // count for k in range(count)]
