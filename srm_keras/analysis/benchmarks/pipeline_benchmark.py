"""What the ImageNet training pipeline delivers, beside the machine's limit and other loaders."""

import importlib.util
import os
import tempfile
from pathlib import Path
from typing import Any

import keras
import numpy as np
from absl import logging

from srm_keras import data
from srm_keras.analysis.benchmarks.benchmark import Timing, environment, interleave
from srm_keras.analysis.benchmarks.pipeline_images import write_jpegs
from srm_keras.analysis.benchmarks.pipeline_loaders import (
    keras_step,
    limit_step,
    package_step,
    torch_step,
)
from srm_keras.files import writable_file, write_json, write_text
from srm_keras.tables import markdown_table
from srm_keras.validation import positive_int

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

    A step loads `images` images with a fresh iterator; its time contains the start.

    Args:
        data_dir: Folder of class folders of JPEG files; None: made-up ones, see `write_jpegs`.
        images: Images a step; a multiple of `batch_size`.
        batch_size: Images a batch.
        rounds: Measured steps of each loader.
        warmup: Rounds before the first measured one.
        workers: PyTorch's worker processes; it is left out where torch is not installed.
        out: A folder for `pipeline.json` and `pipeline.md`.

    Returns:
        What `pipeline.json` holds: `environment`, `settings` and `rows`. A row has the loader, its
        times in ms, `images_per_second` (of the median time) and `of_limit`.

    Raises:
        ValueError: If Keras' backend is not TensorFlow, an argument is wrong, or `data_dir` holds
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
        timings = interleave(steps, rounds, warmup)
        report = {
            "environment": environment(),
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
            "rows": [
                _row(name, timing, timings[LIMIT], images) for name, timing in timings.items()
            ],
        }
    if files:
        write_json(files[0], report)
        write_text(files[1], report_markdown(report))
    return report


def report_markdown(report: dict[str, Any]) -> str:
    """The report of `benchmark_pipeline` as a Markdown page."""
    facts = report["environment"] | report["settings"]
    lines = ["# Images a second of the ImageNet training pipeline", ""]
    lines += [f"- {name.replace('_', ' ')}: {_text(fact)}" for name, fact in facts.items()]
    lines += ["", rows_markdown(report["rows"]), ""]
    lines += [f"- {row['loader']}: {row['note']}." for row in report["rows"]]
    return "\n".join(lines) + "\n"


def _text(fact: Any) -> str:
    return (", ".join(fact) or "none") if isinstance(fact, list) else str(fact)


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


def _row(name: str, timing: Timing, limit: Timing, images: int) -> dict[str, Any]:
    fast, slow = timing.quartiles
    pairs = zip(limit.milliseconds, timing.milliseconds, strict=True)
    return {
        "loader": name,
        "images_per_second": round(1e3 * images / timing.median, 1),
        "lower_quartile": round(1e3 * images / slow, 1),
        "upper_quartile": round(1e3 * images / fast, 1),
        "of_limit": round(float(np.median([bare / own for bare, own in pairs])), 3),
        **timing.to_dict(),
        "note": NOTES[name],
    }


def _check(images: int, batch_size: int, rounds: int, warmup: int, workers: int) -> None:
    if keras.backend.backend() != "tensorflow":
        raise ValueError(
            "The pipeline benchmark needs Keras' TensorFlow backend. "
            f"Received: {keras.backend.backend()!r}"
        )
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
