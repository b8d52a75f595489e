"""Image files in folders: one way to list them for training, prediction and painting."""

import functools
import os
from collections import Counter
from pathlib import Path

from absl import logging

JPEG = (".jpg", ".jpeg", ".jpe", ".jfif")
SUFFIXES = (*JPEG, ".png", ".bmp", ".webp")
"""Of the files that are images, in any case of letters."""
KINDS = "JPEG, PNG, BMP or WebP"

Identity = tuple[int, int]
_Place = tuple[Path, frozenset[Identity]]


def is_image(path: str | os.PathLike) -> bool:
    """Whether a file is one to list, by its name: of a known suffix and not hidden."""
    path = Path(path)
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".")


def images_below(folder: Path) -> list[Path]:
    """All image files in a folder and in those below it, sorted, as ``find_images`` finds them.

    What is passed over is told in one line.
    """
    images, others = find_images(folder)
    tell_passed_over(folder, others)
    return images


def find_images(folder: Path) -> tuple[list[Path], Counter[str]]:
    """Finds the image files in a folder and in those below it, links to folders followed.

    Names that begin with a dot do not count. A link to nothing is listed if its name is that of an
    image: it fails when it is read.

    Args:
        folder: The folder.

    Returns:
        The files, sorted, and of all others how many there are of each suffix.

    Raises:
        ValueError: If a folder cannot be read, or a link leads back to a folder that it lies in.
    """
    images: list[Path] = []
    others: Counter[str] = Counter()
    waiting: list[_Place] = [(folder, frozenset())]
    while waiting:
        folders, files = _entries(*waiting.pop())
        waiting += folders
        for file in files:
            if is_image(file):
                images.append(file)
            else:
                others[file.suffix.lower() or "no suffix"] += 1
    return sorted(images), others


def tell_passed_over(folder: Path, others: Counter[str]) -> None:
    """Logs, once in a process, how many files of which suffixes are no images to read."""
    if others:
        counts = ", ".join(f"{count} {suffix}" for suffix, count in sorted(others.items()))
        _tell(f"{folder}: passed over as no {KINDS} files: {counts}")


def folders_in(parent: Path) -> list[Path]:
    """The folders in ``parent``, hidden ones aside, sorted by name."""
    return sorted(
        (entry for entry in parent.iterdir() if entry.is_dir() and not entry.name.startswith(".")),
        key=lambda folder: folder.name,
    )


def _entries(folder: Path, above: frozenset[Identity]) -> tuple[list[_Place], list[Path]]:
    """The folders in a folder, each with the identities of those above it, and its files.

    Hidden names are left out, and what is neither file, folder nor link. No file's status is asked
    for, which takes long in folders of a million.
    """
    try:
        status = folder.stat()
        identity = (status.st_dev, status.st_ino)
        if identity in above:
            raise ValueError(
                f"{folder} is a link to a folder that it lies in, {folder.resolve()}: the images "
                "below it have no end. Remove the link"
            )
        with os.scandir(folder) as found:
            shown = [(entry, entry.is_dir()) for entry in found if entry.name[0] != "."]
    except OSError as error:
        raise ValueError(f"A folder of images cannot be read: {error}") from error
    folders = [(Path(entry.path), above | {identity}) for entry, is_folder in shown if is_folder]
    files = [
        Path(entry.path)
        for entry, is_folder in shown
        if not is_folder and (entry.is_symlink() or entry.is_file(follow_symlinks=False))
    ]
    return folders, files


@functools.cache
def _tell(message: str) -> None:
    logging.warning("%s", message)
