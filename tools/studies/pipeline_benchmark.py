"""What the ImageNet training pipeline delivers, beside the machine's limit and other loaders."""

import importlib.util
import math
import os
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from absl import logging
from PIL import Image

from srm_keras import data
from srm_keras.data import tf_images
from srm_keras.data.decode import DCT_METHOD
from srm_keras.support.files import writable_file, write_json, write_text
from srm_keras.support.tables import markdown_table
from srm_keras.support.timing import (
    Spread,
    Step,
    Times,
    paired_times,
    round_ratios,
    timing_environment,
)
from srm_keras.support.validation import positive_int
from tools.studies.results import check_backend, fact_lines, milliseconds

_OCTAVES = ((4, 60.0), (16, 30.0), (64, 15.0), (256, 10.0))
"""Cells along the longer side and amplitude of each layer of noise."""

_GRAIN = 17.0


def write_jpegs(folder: Path, count: int, classes: int = 2, seed: int = 0) -> list[Path]:
    """Writes made-up photographs: noise with the spectrum of natural images.

    They are 500×375 or 375×500 at quality 90 and take about 110 kB, as ImageNet's do on average
    (138 GB, 1.28 million files).

    Args:
        folder: Gets one folder a class.
        count: Number of files.
        classes: Number of classes.
        seed: Of the noise.

    Returns:
        Their paths.
    """
    paths = [folder / f"class_{k % classes}" / f"{k:05d}.jpg" for k in range(count)]
    for path in paths[:classes]:
        path.parent.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda item: _write(item[1], (seed, item[0])), enumerate(paths)))
    return paths


def _write(path: Path, seed: tuple[int, int]) -> None:
    generator = np.random.default_rng(seed)
    width, height = (500, 375) if generator.random() < 0.7 else (375, 500)
    image = np.full((height, width, 3), 128, "float32")
    for cells, amplitude in _OCTAVES:
        noise = generator.normal(0, amplitude, (3, cells * height // 500 + 2, cells))
        for channel in range(3):
            layer = Image.fromarray(noise[channel].astype("float32"))
            image[..., channel] += layer.resize((width, height), Image.Resampling.BICUBIC)
    image += generator.normal(0, _GRAIN, (height, width, 1))
    Image.fromarray(np.clip(image, 0, 255).astype("uint8")).save(path, quality=90)


MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
SIZE = 224
_ARRAYS = np.array((MEAN, STD), "float32")
SCALE, RATIO = (0.08, 1.0), (3 / 4, 4 / 3)


def package_step(examples: data.Examples, batch_size: int, count: int) -> Step:
    """The package's own ImageNet training pipeline."""
    preprocessing = data.Preprocessing(SIZE, mean=MEAN, std=STD, flip=True, crop_scale=SCALE)
    stream = data.batches(examples, preprocessing, batch_size, training=True)
    return _drained(stream.take(count // batch_size))


def limit_step(examples: data.Examples, count: int) -> Step:
    """Reads, decodes random windows and resizes them, in a parallel map, and nothing else."""
    paths = [examples.images[k % len(examples)] for k in range(count)]
    windows = [_window(Path(path), k) for k, path in enumerate(paths)]

    def load(path: tf.Tensor, window: tf.Tensor) -> tf.Tensor:
        content = tf.io.read_file(path)
        image = tf.io.decode_and_crop_jpeg(content, window, channels=3, dct_method=DCT_METHOD)
        return tf.image.resize(image, (SIZE, SIZE), antialias=True)

    stream = tf.data.Dataset.from_tensor_slices((list(map(os.fsencode, paths)), windows))
    stream = stream.map(load, num_parallel_calls=tf.data.AUTOTUNE)
    return _drained(stream)


def keras_step(folder: Path, batch_size: int, count: int) -> Step:
    """``image_dataset_from_directory`` at 256×256, then Keras' crop, flip and normalization."""
    stream = keras.utils.image_dataset_from_directory(
        folder, image_size=(256, 256), batch_size=batch_size, verbose=False
    )
    augment = keras.Sequential(
        [
            keras.layers.RandomCrop(SIZE, SIZE),
            keras.layers.RandomFlip("horizontal"),
            keras.layers.Rescaling(1 / 255),
            keras.layers.Normalization(mean=MEAN, variance=np.square(STD)),
        ]
    )
    stream = stream.map(lambda x, y: (augment(x, training=True), y), tf.data.AUTOTUNE)
    batches = math.ceil(count / batch_size)
    return _drained(stream.repeat().take(batches).prefetch(tf.data.AUTOTUNE))


def torch_step(examples: data.Examples, batch_size: int, count: int, workers: int) -> Step:
    """PyTorch's ``DataLoader`` with Pillow in worker processes, which live on between rounds."""
    import torch

    images: Any = PillowImages(list(examples.images), count)
    loader = torch.utils.data.DataLoader(
        images,
        batch_size,
        num_workers=workers,
        persistent_workers=True,
        multiprocessing_context="spawn",
    )

    def step() -> int:
        return sum(len(images) for images, _ in loader)

    return step


class PillowImages:
    """A map-style data set as PyTorch tutorials write it: Inception crop, flip, normalization.

    The window is that of torchvision's ``RandomResizedCrop``.

    Args:
        paths: The files.
        count: Number of images in an epoch.
    """

    def __init__(self, paths: Sequence[Any], count: int) -> None:
        self.paths = [str(path) for path in paths]
        self.count = count
        self.random = np.random.default_rng()

    def __len__(self) -> int:
        """Number of images in an epoch."""
        return self.count

    def __getitem__(self, index: int) -> tuple[np.ndarray, int]:
        """A float32 image (3, 224, 224) and a label."""
        with Image.open(self.paths[index % len(self.paths)]) as file:
            image = file.convert("RGB")
        box = self._box(*image.size)
        image = image.resize((SIZE, SIZE), Image.Resampling.BILINEAR, box=box)
        if self.random.random() < 0.5:
            image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        values = (np.asarray(image, "float32") / 255 - _ARRAYS[0]) / _ARRAYS[1]
        return np.ascontiguousarray(values.transpose(2, 0, 1)), 0

    def _box(self, width: int, height: int) -> tuple[int, int, int, int]:
        for _ in range(10):
            area = width * height * self.random.uniform(*SCALE)
            ratio = math.exp(self.random.uniform(math.log(RATIO[0]), math.log(RATIO[1])))
            w, h = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
            if 0 < w <= width and 0 < h <= height:
                left = int(self.random.integers(width - w + 1))
                top = int(self.random.integers(height - h + 1))
                return left, top, left + w, top + h
        return 0, 0, width, height


def _drained(stream: tf.data.Dataset) -> Step:
    """Goes through the whole stream inside of TensorFlow."""

    def step() -> int:
        return int(stream.reduce(tf.constant(0), lambda number, *_: number + 1))

    return step


def _window(path: Path, k: int) -> np.ndarray:
    with Image.open(path) as image:
        width, height = image.size
    return tf_images.inception_window((height, width), SCALE, RATIO, (0, k)).numpy()


PACKAGE = "srm_keras.data.batches"
LIMIT = "limit: read, decode window, resize"
KERAS = "keras.utils.image_dataset_from_directory"
TORCH = "torch.utils.data.DataLoader, Pillow"

NOTES = {
    LIMIT: "read_file, decode_and_crop_jpeg and antialiased resize in a parallel map, no more",
    PACKAGE: "Inception crop to 224×224, flip, standardization, batches; reproducible order",
    KERAS: "whole images to 256×256, RandomCrop (one place a batch), RandomFlip, Normalization",
    TORCH: "Inception crop to 224×224 after decoding the whole image, flip, normalization",
}


def benchmark_pipeline(
    data_dir: str | os.PathLike | None = None,
    images: int = 1024,
    batch_size: int = 64,
    rounds: int = 20,
    warmup: int = 2,
    workers: int = 2,
    out: str | os.PathLike | None = None,
) -> dict[str, Any]:
    """Measures images a second of several loaders, which take turns.

    A step loads ``images`` images with a fresh iterator; its time contains the start.

    Args:
        data_dir: Folder of class folders of JPEG files; None: made-up ones, see ``write_jpegs``.
        images: Images a step; a multiple of ``batch_size``.
        batch_size: Images a batch.
        rounds: Measured steps of each loader.
        warmup: Rounds before the first measured one.
        workers: PyTorch's worker processes; it is left out where torch is not installed.
        out: A folder for ``pipeline.json`` and ``pipeline.md``.

    Returns:
        What ``pipeline.json`` holds: ``environment``, ``settings`` and ``rows``. A row has the
        loader, its times in ms, ``images_per_second`` (of the median time) and ``of_limit``.

    Raises:
        ValueError: If Keras' backend is not TensorFlow, an argument is wrong, or ``data_dir`` holds
            no JPEG file in class folders.
    """
    _check(images, batch_size, rounds, warmup, workers)
    files = (
        [writable_file("out", Path(out) / f"pipeline.{kind}") for kind in ("json", "md")]
        if out
        else []
    )
    with tempfile.TemporaryDirectory() as made:
        folder = Path(data_dir) if data_dir else Path(made)
        paths = _jpegs(folder) if data_dir else write_jpegs(folder, min(images, 512))
        examples = _examples(paths)
        steps = {
            LIMIT: limit_step(examples, images),
            PACKAGE: package_step(examples, batch_size, images),
            KERAS: keras_step(folder, batch_size, images),
        }
        if importlib.util.find_spec("torch"):
            steps[TORCH] = torch_step(examples, batch_size, images, workers)
        logging.info("%d loaders, %d rounds of %d images", len(steps), warmup + rounds, images)
        times = paired_times(steps, rounds, warmup)
        report = {
            "environment": timing_environment(),
            "settings": {
                "images a round": images,
                "batch size": batch_size,
                "rounds": rounds,
                "warmup": warmup,
                "PyTorch workers": workers,
                "files": len(paths),
                "kilobytes a file": round(np.mean([p.stat().st_size for p in paths]) / 1000, 1),
                "source": "a folder" if data_dir else "made up, 500×375",
            },
            "rows": [_row(name, times, images) for name in times],
        }
    if files:
        write_json(files[0], report)
        write_text(files[1], report_markdown(report))
    return report


def report_markdown(report: dict[str, Any]) -> str:
    """The report of ``benchmark_pipeline`` as a Markdown page."""
    lines = ["# Images a second of the ImageNet training pipeline", "", *fact_lines(report)]
    lines += ["", rows_markdown(report["rows"]), ""]
    lines += [f"- {row['loader']}: {row['note']}." for row in report["rows"]]
    return "\n".join(lines) + "\n"


def rows_markdown(rows: list[dict[str, Any]]) -> str:
    """The rows as a Markdown table."""
    header = ("loader", "images/s", "quartiles", "of the limit")
    cells = [
        (
            row["loader"],
            f"{row['images_per_second']:.0f}",
            f"{row['lower_quartile']:.0f}–{row['upper_quartile']:.0f}",
            f"{row['of_limit']:.2f}",
        )
        for row in rows
    ]
    return markdown_table(header, cells)


def _row(name: str, times: Mapping[str, Times], images: int) -> dict[str, Any]:
    own = Spread.of(times[name].wall)
    return {
        "loader": name,
        "images_per_second": round(1e3 * images / own.median, 1),
        "lower_quartile": round(1e3 * images / own.upper, 1),
        "upper_quartile": round(1e3 * images / own.lower, 1),
        "of_limit": round(Spread.of(round_ratios(times, LIMIT, name).wall).median, 3),
        **milliseconds(times[name].wall),
        "note": NOTES[name],
    }


def _check(images: int, batch_size: int, rounds: int, warmup: int, workers: int) -> None:
    check_backend("pipeline benchmark")
    values = {"batch_size": batch_size, "rounds": rounds, "warmup": warmup, "workers": workers}
    for name, value in values.items():
        positive_int(name, value)
    if positive_int("images", images) % batch_size:
        raise ValueError(
            f"`images` must be a multiple of batch_size={batch_size}. Received: images={images}"
        )


def _jpegs(folder: Path) -> list[Path]:
    paths = sorted(p for p in folder.glob("*/*") if p.suffix.lower() in (".jpg", ".jpeg"))
    if not paths:
        raise ValueError(
            f"`data_dir` must hold class folders of JPEG files. Received: data_dir={str(folder)!r}"
        )
    return paths


def _examples(paths: list[Path]) -> data.Examples:
    info = data.DatasetInfo("jpegs", "train", len(paths), 1, ("any",), (None, None, 3))
    return data.Examples(tuple(paths), np.zeros(len(paths), "int32"), info)
