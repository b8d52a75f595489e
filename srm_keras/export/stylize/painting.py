"""What there is to paint, and what came of it."""

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from srm_keras.data.sources.image_folder.layout import SUFFIXES, images_below
from srm_keras.export.stylize.stylizer import Picture, Stylizer, read_picture, write_picture
from srm_keras.support.files import read_json, writable_file, write_json
from srm_keras.support.foreign import first_line

WRITTEN, KEPT, FAILED = "written", "kept", "failed"


@dataclass(frozen=True)
class Job:
    """A picture to paint.

    Attributes:
        source: Its file.
        target: Where the result goes.
    """

    source: Path
    target: Path


@dataclass(frozen=True)
class Outcome:
    """What came of a job.

    Attributes:
        source: The file.
        state: "written"; "kept", because the result was there; or "failed".
        error: Why it failed, else an empty string.
    """

    source: str
    state: str
    error: str = ""


@dataclass(frozen=True)
class Options:
    """How pictures are painted.

    Attributes:
        size: The longest side of larger pictures is reduced to it; None leaves them.
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
        stylizer: Of ``load_stylizer``.
        jobs: Of ``plan_jobs``.
        options: How.

    Raises:
        OSError: A result cannot be written.
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


RECORD = "stylize.json"


def check_record(folder: Path, settings: Mapping[str, Any]) -> None:
    """Raise ``ValueError`` if the pictures in ``folder`` were made with other settings."""
    try:
        earlier = read_json(folder / RECORD)
    except FileNotFoundError:
        return
    except (OSError, ValueError) as error:
        raise ValueError(f"{str(folder / RECORD)!r} cannot be read ({error})") from None
    differing = [name for name in settings if earlier.get(name) != settings[name]]
    if differing:
        raise ValueError(
            "`out` must be a folder without pictures made with other settings, or be overwritten. "
            f"Received: out={str(folder)!r} with another {' and another '.join(differing)}"
        )


def remove_record(folder: Path) -> None:
    """Forget what the pictures in ``folder`` were made with."""
    (folder / RECORD).unlink(missing_ok=True)


def write_record(folder: Path, settings: Mapping[str, Any]) -> None:
    """Note in ``folder`` what its pictures are made with."""
    write_json(folder / RECORD, dict(settings))


@dataclass(frozen=True)
class Work:
    """Pictures to paint, all checked.

    Attributes:
        jobs: One for each of them.
        options: How they are painted.
        folder: Where many results go, which notes what they were made with; None for one.
    """

    jobs: Sequence[Job]
    options: Options
    folder: Path | None

    def begin(self, settings: Mapping[str, Any], overwrite: bool = False) -> None:
        """Make the results' folder ready; without ``overwrite``, what is there will be kept.

        Args:
            settings: What decides how results look, as JSON can hold it.
            overwrite: Whether to delete what is there.

        Raises:
            ValueError: What is there was made with other settings.
        """
        if overwrite:
            remove_results(self.jobs)
        if self.folder and overwrite:
            remove_record(self.folder)
        if self.folder:
            check_record(self.folder, settings)
            write_record(self.folder, settings)

    def paint(self, stylizer: Stylizer) -> Iterator[Outcome]:
        """Paint them one by one; see ``stylize_files``."""
        return stylize_files(stylizer, self.jobs, self.options)


def plan_work(
    images: str | os.PathLike | Sequence[str | os.PathLike],
    out: str | os.PathLike,
    options: Options,
) -> Work:
    """Return the work for picture files and for folders of pictures at any depth.

    Raises:
        ValueError: ``images`` or ``out`` is not of that kind (see ``plan_jobs``), or two pictures
            would have the same result.
    """
    given = [images] if isinstance(images, (str, os.PathLike)) else list(images)
    if len(given) == 1 and not Path(given[0]).is_dir():
        return Work(plan_jobs(given[0], out), options, None)
    if Path(out).suffix.lower() in SUFFIXES:
        raise ValueError(f"`out` must be a folder for several images. Received: out={str(out)!r}")
    jobs = [job for each in given for job in plan_jobs(each, out)]
    targets = Counter(job.target for job in jobs)
    if twice := [target for target, count in targets.items() if count > 1]:
        raise ValueError(f"`images` must differ in name. Received: two for {str(twice[0])!r}")
    return Work(jobs, options, Path(out))
