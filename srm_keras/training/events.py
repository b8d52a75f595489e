"""What a run says, as TensorBoard's events."""

import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
from absl import logging


class EventLog:
    """Writes rows to an events folder, which begins anew with the rows of before.

    On other backends than TensorFlow, which writes the files, nothing is written; this is logged.

    Args:
        folder: For the events; what it held is removed.
        rows: The rows so far.
        quantities: What they hold beside the learning rate, of training and of validation.
    """

    def __init__(
        self,
        folder: Path,
        rows: Iterable[Mapping[str, float]],
        quantities: Sequence[str] = ("loss", "accuracy"),
    ):
        self._tags = {"lr": "learning_rate"}
        for name in quantities:
            self._tags |= {name: f"{name}/training", f"val_{name}": f"{name}/validation"}
        self._writer = _begin(folder)
        for row in rows:
            self.add(row)

    def add(self, row: Mapping[str, float]) -> None:
        """Writes one row, at its step."""
        if self._writer is None:
            return
        import tensorflow as tf

        with self._writer.as_default(step=int(row["step"])):
            for name, tag in self._tags.items():
                tf.summary.scalar(tag, row[name])
        self._writer.flush()


class HistogramLog:
    """Writes histograms of gates to an events folder, which begins anew.

    On other backends than TensorFlow, which writes the files, nothing is written; this is logged.

    Args:
        folder: For the events; what it held is removed.
    """

    def __init__(self, folder: Path):
        self._writer = _begin(folder)

    def add(self, step: int, counts: Mapping[str, np.ndarray]) -> None:
        """Writes the gates of every layer, `(bins,)` counts in equal intervals of [0, 1].

        TensorBoard takes values and counts them itself: it gets about a thousand, each the middle
        of its interval.
        """
        if self._writer is None:
            return
        import tensorflow as tf

        with self._writer.as_default(step=step):
            for layer, count in counts.items():
                middles = (np.arange(len(count)) + 0.5) / len(count)
                values = np.repeat(middles, np.rint(1000 * count / count.sum()).astype("int64"))
                tf.summary.histogram(f"gates/{layer}", values, buckets=len(count))
        self._writer.flush()


def _begin(folder: Path) -> Any | None:
    """A writer into an empty folder; None where there can be none."""
    if keras.config.backend() != "tensorflow":
        logging.log_first_n(
            logging.INFO, "TensorBoard events need the TensorFlow backend: none are written", 1
        )
        return None
    import tensorflow as tf

    shutil.rmtree(folder, ignore_errors=True)
    return tf.summary.create_file_writer(str(folder))
