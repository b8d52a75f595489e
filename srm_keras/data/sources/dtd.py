"""The Describable Textures Dataset (Cimpoi et al. 2014): 5,640 images of 47 kinds of texture.

The archive has ten official partitions into three equal parts; TFDS offers the first one alone.
"""

import os
from pathlib import Path

from srm_keras.data import checks
from srm_keras.data.examples import Examples
from srm_keras.data.sources.image_folder.layout import ImageList, folders_in
from srm_keras.data.sources.image_folder.source import as_examples
from srm_keras.support.validation import one_of

URL = "https://www.robots.ox.ac.uk/~vgg/data/dtd/download/dtd-r1.0.1.tar.gz"
FOLDS = range(1, 11)

_PARTS = {
    "train": ("train",),
    "val": ("val",),
    "test": ("test",),
    "trainval": ("train", "val"),
    "all": ("train", "val", "test"),
}


def load_examples(
    split: str, *, data_dir: str | os.PathLike | None = None, fold: int = 1
) -> Examples:
    """Lists a split of DTD.

    Args:
        split: ``"train"``, ``"val"``, ``"test"``, ``"trainval"``, or ``"all"``, the whole data set,
            for ``srm_keras.data.k_folds``.
        data_dir: The folder ``dtd`` of the archive, which holds ``images`` and ``labels``.
        fold: Which of the ten official partitions, 1 … 10. ``"all"`` is the same in each.

    Returns:
        The ``Examples``, whose images are paths, in the order of their names. Every file has been
        decoded once.

    Raises:
        ValueError: If an argument is wrong, the data is missing (it says how to get it), or files
            are missing or corrupt.
    """
    one_of("split", split, _PARTS)
    fold = one_of("fold", fold, FOLDS)
    root = checks.folder_of(
        "data_dir",
        data_dir,
        ("images", "labels"),
        "DTD's folder `dtd`, with `images` and `labels`. "
        f"Download {URL}, extract it, and name the folder",
    )
    class_names = tuple(folder.name for folder in folders_in(root / "images"))
    names = sorted(
        name for part in _PARTS[split] for name in _listed(root / "labels" / f"{part}{fold}.txt")
    )
    label = {name: position for position, name in enumerate(class_names)}
    paths = tuple(root / "images" / name for name in names)
    missing = [path for path in paths if not path.is_file()]
    if missing:
        raise ValueError(f"{root} lacks {len(missing)} of the images it lists, as {missing[0]}")
    labels = tuple(label[name.split("/")[0]] for name in names)
    return as_examples("dtd", split, ImageList(paths, labels, class_names), root, verify=True)


def _listed(path: Path) -> list[str]:
    """The images that a label file names, ``class/class_0001.jpg``."""
    if not path.is_file():
        raise ValueError(f"{path} is missing. Extract {URL} again")
    return path.read_text(encoding="utf-8").split()
