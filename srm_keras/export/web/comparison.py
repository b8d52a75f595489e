"""What the web page makes of image files, beside what TensorFlow and Keras make of them."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from srm_keras.data.image_folder.decode import decode
from srm_keras.data.preprocessing import Preprocessing
from srm_keras.export.parity import BATCH_SIZE
from srm_keras.export.web.browser import (
    BrowserError,
    missing_for_browser,
    run_files_in_browser,
)
from srm_keras.export.web.exporter import MODEL, PREDICTIONS
from srm_keras.files import write_csv, write_json


@dataclass(frozen=True)
class WebComparison:
    """Differences between the page and Keras, each from the same image files.

    Attributes:
        images: how many files.
        top1_agreement: share with the same best class, in [0, 1].
        max_score_error: largest difference of a score.
        mean_pixel_error: mean difference of prepared pixels, in grey levels (0 to 255).
        max_pixel_error: the largest such difference.
    """

    images: int
    top1_agreement: float
    max_score_error: float
    mean_pixel_error: float
    max_pixel_error: float


def compare_with_page(
    model: keras.Model,
    folder: str | os.PathLike,
    files: Sequence[Path],
    preprocessing: Preprocessing,
    classes: Sequence[str],
    out: str | os.PathLike,
) -> WebComparison:
    """Run image files through the page in headless Chromium, and through TensorFlow and Keras.

    Unlike the parity of ``to_web``, this includes decoding and resizing. Writes
    ``web_comparison.csv``, a row for each file, and ``web_comparison.json``.

    Args:
        model: the Keras model that was exported.
        folder: what ``to_web`` wrote.
        files: images that both TensorFlow and Chromium read (JPEG, PNG).
        preprocessing: of the network; three channels.
        classes: their names.
        out: folder for the two files.

    Raises:
        ValueError: there are no files, or the network reads grey images.
        BrowserError: Chromium is missing or failed.
    """
    check_comparable(preprocessing, files)
    page = run_files_in_browser(Path(folder) / MODEL, files, preprocessing)
    scores = page.outputs[PREDICTIONS]
    inputs = np.stack([_prepared(file, preprocessing) for file in files])
    expected = model.predict(inputs, batch_size=BATCH_SIZE, verbose=0)
    levels = 255 * np.abs(page.prepared - inputs) * preprocessing.std
    best = {"page": scores.argmax(axis=-1), "keras": expected.argmax(axis=-1)}
    result = WebComparison(
        images=len(files),
        top1_agreement=float(np.mean(best["page"] == best["keras"])),
        max_score_error=float(np.abs(scores - expected).max()),
        mean_pixel_error=float(levels.mean()),
        max_pixel_error=float(levels.max()),
    )
    names = {name: [classes[i] for i in indices] for name, indices in best.items()}
    _write(Path(out), files, names, result)
    return result


def check_comparable(preprocessing: Preprocessing, files: Sequence[Path]) -> None:
    """Raise what ``compare_with_page`` raises before it starts."""
    if preprocessing.channels != 3:
        raise ValueError(
            "`preprocessing` must be that of a network for colour images: TensorFlow does not turn "
            f"them to grey as the page does. Received: channels={preprocessing.channels}"
        )
    if not files:
        raise ValueError("`files` must be JPEG or PNG files. Received: none")
    missing = missing_for_browser()
    if missing:
        raise BrowserError(f"To compare with the page, this is missing: {missing}")


def _prepared(file: Path, preprocessing: Preprocessing) -> np.ndarray:
    return preprocessing.evaluation(decode(tf.constant(file.read_bytes()))).numpy()


def _write(
    out: Path,
    files: Sequence[Path],
    best: Mapping[str, Sequence[str]],
    result: WebComparison,
) -> None:
    rows = [
        {"file": file.name, **{name: best[name][i] for name in best}}
        for i, file in enumerate(files)
    ]
    write_csv(out / "web_comparison.csv", rows)
    write_json(out / "web_comparison.json", asdict(result))
