"""Stylized-ImageNet (Geirhos et al. 2019): ImageNet, each image in the style of some painting."""

import os
from dataclasses import replace
from pathlib import Path

from srm_keras.data import checks
from srm_keras.data.examples import Examples
from srm_keras.data.sources import imagenet
from srm_keras.data.sources.image_folder.layout import folders_in
from srm_keras.support.validation import one_of

URL = "https://github.com/rgeirhos/Stylized-ImageNet"
SPLITS = ("train", "val", "imagenet_val")


def load_examples(
    split: str,
    *,
    data_dir: str | os.PathLike | None = None,
    imagenet_dir: str | os.PathLike | None = None,
) -> Examples:
    """Lists a split of Stylized-ImageNet, or ImageNet's own validation split.

    Args:
        split: ``"train"``, ``"val"``, or ``"imagenet_val"``: the photographs that ``"val"`` was
            made of, as the paper's Table 3 evaluates on both.
        data_dir: The folder that holds ``train/<wnid>/`` and ``val/<wnid>/``.
        imagenet_dir: For ``"imagenet_val"``: ImageNet's folder, with ``train/`` and ``val/``
            likewise.

    Returns:
        The ``Examples``, whose images are paths; files are not decoded before they are needed.

    Raises:
        ValueError: If the split is unknown, the data is missing (it says how to get it), or the
            classes of the two data sets differ.
    """
    one_of("split", split, SPLITS)
    root = _root("data_dir", data_dir, f"Stylized-ImageNet, made with the code of {URL},")
    if split != "imagenet_val":
        return imagenet.class_folders("stylized_imagenet", split, root)
    photographs = _root("imagenet_dir", imagenet_dir, f"ImageNet, from {imagenet.URL},")
    examples = imagenet.class_folders("stylized_imagenet", "val", photographs)
    _check_classes(examples.info.class_names, root, photographs)
    return replace(examples, info=replace(examples.info, split=split))


def _root(name: str, folder: str | os.PathLike | None, what: str) -> Path:
    layout = "with `train` and `val`, each with one folder of images a class"
    return checks.folder_of(name, folder, imagenet.SPLITS, f"the folder of {what} {layout}")


def _check_classes(names: tuple[str, ...], root: Path, photographs: Path) -> None:
    stylized = {folder.name for folder in folders_in(root / "train")}
    if stylized != set(names):
        raise ValueError(
            f"{photographs} must have the classes of {root}. Received: "
            f"{len(stylized ^ set(names))} class folders that only one of them has"
        )
