"""The photographs of MS-COCO 2017 (Lin et al. 2014), without their annotations.

118,287 training and 5,000 validation photographs; the contents that style transfer is trained on.
"""

import os
from pathlib import Path

import numpy as np

from srm_keras.data.examples import DatasetInfo, Examples
from srm_keras.data.sources.image_folder.layout import UNLABELLED, list_unlabelled
from srm_keras.data.sources.image_folder.source import as_examples
from srm_keras.data.sources.prepared import (
    BY_POSITION,
    Records,
    check_read_by_position,
    prepare_command,
    prepared_builder,
    root_folder,
)
from srm_keras.support.validation import one_of

URL = "https://cocodataset.org/#download"
FOLDERS = {"train": "train2017", "val": "val2017"}

_TFDS_NAME = "coco/2017"
_TFDS_SPLITS = {"train": "train", "val": "validation"}


def load_examples(split: str, *, data_dir: str | os.PathLike | None = None) -> Examples | Records:
    """Lists a split of MS-COCO 2017.

    Files are not decoded before they are needed.

    Args:
        split: ``"train"`` or ``"val"``.
        data_dir: Either the folder that holds ``train2017/*.jpg`` and ``val2017/*.jpg``, or a
            folder of TFDS data sets that holds ``coco/2017`` in the format ``array_record``.
            Default: the folder where TFDS puts its data sets.

    Returns:
        The ``Examples``, whose images are paths, or ``Records`` for TFDS; all of one class,
        ``"image"``.

    Raises:
        ValueError: If the split is unknown, or the data is missing (it says how to get it) or in
            a TFDS format that cannot be read by position.
    """
    one_of("split", split, FOLDERS)
    root = root_folder(data_dir)
    folder = root / FOLDERS[split]
    if folder.is_dir():
        return as_examples("coco", split, list_unlabelled(folder, seed=0), root)
    builder = prepared_builder(_TFDS_NAME, root)
    if builder is None:
        raise ValueError(_missing(root))
    check_read_by_position(builder, _TFDS_NAME, root)
    tfds_split = _TFDS_SPLITS[split]
    count = builder.info.splits[tfds_split].num_examples
    info = DatasetInfo("coco", split, count, 1, (UNLABELLED,), (None, None, 3))
    return Records(builder, tfds_split, np.arange(count), info, label_feature=None)


def _missing(root: Path) -> str:
    return (
        f"MS-COCO 2017 is not in `data_dir`. Download train2017.zip and val2017.zip from {URL} and "
        f"extract them to {root}/train2017/ and {root}/val2017/, or run "
        f"{prepare_command(_TFDS_NAME, root, BY_POSITION)}. Received: data_dir={str(root)!r}"
    )
