"""What the images of a split, and their stylized copies, are called."""

import hashlib
import os
from collections import Counter
from pathlib import Path, PurePosixPath

from srm_keras.data.examples import Examples
from srm_keras.data.records import Records


def image_names(examples: Examples | Records) -> list[str]:
    """A name for each image of a split, which does not depend on where the data set lies.

    Returns:
        The path of its file below the folder that all files of the split share, or where images
        are no files its position.
    """
    if isinstance(examples, Records) or examples.in_memory:
        width = max(len(str(len(examples) - 1)), 6)
        return [f"{position:0{width}d}" for position in range(len(examples))]
    root = os.path.commonpath([path.parent for path in examples.images])
    names = [path.relative_to(root).as_posix() for path in examples.images]
    for name in names:
        if name != name.encode(errors="replace").decode():
            raise ValueError(f"File names must be UTF-8. Received: {name!r} in {root}")
    return names


def class_folders(class_names: tuple[str, ...]) -> list[str]:
    """A folder name for each class, such that their alphabetical order is that of the labels.

    Class folders are numbered in the order of their names when they are read. So names in another
    order get their number in front.

    Raises:
        ValueError: If two classes would have the same folder.
    """
    folders = [name.replace("/", "_").replace(os.sep, "_").lstrip(".") for name in class_names]
    if folders != sorted(folders) or not all(folders):
        width = len(str(len(folders) - 1))
        folders = [f"{label:0{width}d}_{folder}" for label, folder in enumerate(folders)]
    same = [folder for folder, count in Counter(folders).items() if count > 1]
    if same:
        raise ValueError(f"Classes must have names of their own. Received: {same[0]!r} twice")
    return folders


def output_stems(examples: Examples | Records, names: list[str]) -> list[str]:
    """The file name, without suffix, of each image's copy in its class folder.

    It is the image's own, after the names of the folders that it lies in, the class' aside. Where
    two images of a class would have the same, each gets a part of a hash of its name.
    """
    if isinstance(examples, Records) or examples.in_memory:
        return names
    classes = [examples.info.class_names[label] for label in examples.labels]
    stems = [_stem(name, its_class) for name, its_class in zip(names, classes, strict=True)]
    counts = Counter(
        (its_class, stem.lower()) for its_class, stem in zip(classes, stems, strict=True)
    )
    return [
        stem if counts[its_class, stem.lower()] == 1 else f"{stem}_{_digest(name)}"
        for name, stem, its_class in zip(names, stems, classes, strict=True)
    ]


def _stem(name: str, class_name: str) -> str:
    folders = list(PurePosixPath(name).parent.parts)
    if class_name in folders:
        folders.remove(class_name)
    return "_".join([*folders, Path(name).stem])


def _digest(name: str) -> str:
    return hashlib.blake2b(name.encode(errors="surrogateescape"), digest_size=4).hexdigest()
