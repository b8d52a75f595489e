"""ImageNet-1K (Russakovsky et al. 2015) and other sets in its layout.

1,281,167 training and 50,000 validation photographs of 1,000 classes. Both forms in which it is
kept can be read by position, so that training on it is reproducible to the batch and a run can be
resumed anywhere without reading what came before.
"""

import os
from pathlib import Path

from absl import logging

from srm_keras.data.examples import Examples
from srm_keras.data.sources.image_folder.layout import list_images
from srm_keras.data.sources.image_folder.source import as_examples
from srm_keras.data.sources.prepared import Records, records_of, root_folder
from srm_keras.support.validation import one_of

URL = "https://image-net.org/download-images"
SPLITS = ("train", "val")

_LINES = Path(__file__).with_name("imagenet_classes.txt").read_text("utf-8").splitlines()
WORDNET_IDS, CLASS_NAMES = zip(*(line.split(" ", 1) for line in _LINES), strict=True)
"""Of the 1,000 classes in their usual order, that of the ids; a name is the first of its synset."""


def load_examples(split: str, *, data_dir: str | os.PathLike | None = None) -> Examples | Records:
    """Lists a split of ImageNet-1K.

    Files are not decoded before they are needed.

    Args:
        split: ``"train"`` or ``"val"``.
        data_dir: Either the folder that holds ``train/<wnid>/*.JPEG`` and ``val/<wnid>/*.JPEG``, or
            a folder of TFDS data sets that holds ``imagenet2012`` in the format ``array_record``.
            Default: the folder where TFDS puts its data sets.

    Returns:
        The ``Examples``, whose images are paths, for class folders; ``Records`` for TFDS. Classes
        are in the order of their WordNet ids in both.

    Raises:
        ValueError: If the split is unknown, or the data is missing (it says how to get it) or in
            a TFDS format that cannot be read by position.
    """
    one_of("split", split, SPLITS)
    root = root_folder(data_dir)
    if has_layout(root):
        return class_folders("imagenet", split, root)
    advice = (
        "ImageNet is not in `data_dir`. Download ILSVRC2012_img_train.tar and "
        f"ILSVRC2012_img_val.tar from {URL} (an account is needed) and extract them to "
        f"{root}/train/<wnid>/ and {root}/val/<wnid>/, one folder a class; or put both into "
        f"{root}/downloads/manual/ and run"
    )
    return records_of("imagenet", split, "imagenet2012", root, advice)


def has_layout(root: Path) -> bool:
    """Whether ``root`` has the folders ``train`` and ``val``."""
    return all((root / split).is_dir() for split in SPLITS)


def class_folders(name: str, split: str, root: Path) -> Examples:
    """The files of ``root/<split>/<wnid>/``, as a source called ``name``."""
    logging.info("%s: listing the files of %s", name, root / split)
    return as_examples(name, split, list_images(root, split, None, seed=0), root)
