"""The rows of a run as TensorBoard's events."""

import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path

import keras
from absl import logging

NAMES = {
    "lr": "learning_rate",
    "loss": "loss/training",
    "accuracy": "accuracy/training",
    "val_loss": "loss/validation",
    "val_accuracy": "accuracy/validation",
}


class EventLog:
    """Writes rows to an events folder, which begins anew with the rows of before.

    On other backends than TensorFlow, which writes the files, nothing is written; this is logged.

    Args:
        folder: For the events; what it held is removed.
        rows: The rows so far.
    """

    def __init__(self, folder: Path, rows: Iterable[Mapping[str, float]]):
        self._writer = None
        if keras.config.backend() != "tensorflow":
            logging.info("TensorBoard events need the TensorFlow backend: none are written")
            return
        import tensorflow as tf

        shutil.rmtree(folder, ignore_errors=True)
        self._writer = tf.summary.create_file_writer(str(folder))
        for row in rows:
            self.add(row)

    def add(self, row: Mapping[str, float]) -> None:
        """Writes one row, at its step."""
        if self._writer is None:
            return
        import tensorflow as tf

        with self._writer.as_default(step=int(row["step"])):
            for name, tag in NAMES.items():
                tf.summary.scalar(tag, row[name])
        self._writer.flush()
