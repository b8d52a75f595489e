"""The photographs of MS-COCO 2017 (Lin et al. 2014), without their annotations.

118,287 training and 5,000 validation photographs; the contents that style transfer is trained on.
"""

import os

from srm_keras.data.examples import Examples
from srm_keras.data.sources.image_folder.layout import UNLABELLED, list_unlabelled
from srm_keras.data.sources.image_folder.source import as_examples
from srm_keras.data.sources.prepared import Records, records_of, root_folder
from srm_keras.support.validation import one_of

URL = "https://cocodataset.org/#download"
FOLDERS = {"train": "train2017", "val": "val2017"}


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
    advice = (
        f"MS-COCO 2017 is not in `data_dir`. Download train2017.zip and val2017.zip from {URL} and "
        f"extract them to {root}/train2017/ and {root}/val2017/, or run"
    )
    return records_of("coco", split, "coco/2017", root, advice, only_class=UNLABELLED)
