"""Picture files painted one by one: what to do, and what came of it."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from srm_keras.data.image_folder.files import SUFFIXES, images_below
from srm_keras.export.foreign import first_line
from srm_keras.export.stylize.pictures import Picture, read_picture, write_picture
from srm_keras.export.stylize.stylizer import Stylizer
from srm_keras.files import writable_file

WRITTEN, KEPT, FAILED = "written", "kept", "failed"


@dataclass(frozen=True)
class Job:
    """A picture to paint.

    Attributes:
        source: its file.
        target: where the result goes.
    """

    source: Path
    target: Path


@dataclass(frozen=True)
class Outcome:
    """What came of a job.

    Attributes:
        source: the file.
        state: "written"; "kept", because the result was there; or "failed".
        error: why it failed, else an empty string.
    """

    source: str
    state: str
    error: str = ""


@dataclass(frozen=True)
class Options:
    """How pictures are painted.

    Attributes:
        size: the longest side of larger pictures is reduced to it; None leaves them.
    """

    size: int | None = None


def plan_jobs(images: str | os.PathLike, out: str | os.PathLike) -> list[Job]:
    """Return what there is to do for a picture file, or for a folder of them at any depth.

    Results have the names of their sources, in the same folders below ``out``. For a single file
    ``out`` may be a file; that decides about the format.

    Raises:
        ValueError: ``images`` does not exist or holds no picture, ``out`` is a file where a folder
            is needed or of an unknown format, or lies within ``images``, or cannot be written.
    """
    images, out = Path(images), Path(out)
    if not images.exists():
        raise ValueError(f"`images` must exist. Received: images={str(images)!r}")
    jobs = _jobs_below(images, out) if images.is_dir() else [_single_job(images, out)]
    for folder in sorted({job.target.parent for job in jobs}):
        writable_file("out", folder / jobs[0].target.name)
    return jobs


def stylize_files(stylizer: Stylizer, jobs: Sequence[Job], options: Options) -> Iterator[Outcome]:
    """Paint file by file, each written whole or not at all, and yield what came of each.

    What is there already is kept: a run that was killed goes on where it was. A file that cannot
    be read, or whose picture the network cannot take, fails alone.

    Args:
        stylizer: of ``load_stylizer``.
        jobs: of ``plan_jobs``.
        options: how.

    Raises:
        OSError: a result cannot be written.
    """
    for job in jobs:
        if job.target.exists():
            yield Outcome(str(job.source), KEPT)
            continue
        try:
            picture = _painted(stylizer, job.source, options)
        except Exception as error:  # Runtimes have each their own for a picture that is too small.
            yield Outcome(str(job.source), FAILED, first_line(error))
            continue
        write_picture(job.target, picture)
        yield Outcome(str(job.source), WRITTEN)


def remove_results(jobs: Sequence[Job]) -> None:
    """Delete what earlier runs have made."""
    for job in jobs:
        job.target.unlink(missing_ok=True)


def _painted(stylizer: Stylizer, source: Path, options: Options) -> Picture:
    picture = read_picture(source, options.size)
    return Picture(stylizer(picture.pixels), picture.alpha)


def _jobs_below(images: Path, out: Path) -> list[Job]:
    if out.suffix.lower() in SUFFIXES or out.is_file():
        raise ValueError(
            f"`out` must be a folder for a folder of images. Received: out={str(out)!r}"
        )
    if out.resolve().is_relative_to(images.resolve()):
        raise ValueError(
            "`out` must lie outside of the folder of images, whose pictures would be taken again. "
            f"Received: out={str(out)!r} in images={str(images)!r}"
        )
    files = images_below(images)
    if not files:
        raise ValueError(
            f"`images` must hold pictures ({', '.join(SUFFIXES)}). Received: images={str(images)!r}"
        )
    return [Job(path, out / path.relative_to(images)) for path in files]


def _single_job(image: Path, out: Path) -> Job:
    target = out / image.name if out.is_dir() or not out.suffix else out
    if target.suffix.lower() not in SUFFIXES:
        raise ValueError(
            f"`out` must be a folder or a file {', '.join(SUFFIXES)}. Received: out={str(out)!r} "
            f"for images={str(image)!r}"
        )
    if target.resolve() == image.resolve():
        raise ValueError(f"`out` must not be the image itself. Received: out={str(out)!r}")
    return Job(image, target)
