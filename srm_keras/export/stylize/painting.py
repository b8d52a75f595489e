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
RECORD = "stylize.json"
"""The file beside results that notes what they were made with."""


@dataclass(frozen=True)
class Job:
    """A picture to paint: its file ``source``, and where the result goes, ``target``."""

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
class Work:
    """Pictures to paint, all checked.

    Attributes:
        jobs: One for each of them.
        size: The longest side of larger pictures is reduced to it; None leaves them.
        folder: Where many results go, which notes what they were made with; None for one.
    """

    jobs: Sequence[Job]
    size: int | None
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
            for job in self.jobs:
                job.target.unlink(missing_ok=True)
        if self.folder is None:
            return
        if overwrite:
            (self.folder / RECORD).unlink(missing_ok=True)
        _check_record(self.folder, settings)
        write_json(self.folder / RECORD, dict(settings))

    def paint(self, stylizer: Stylizer) -> Iterator[Outcome]:
        """Paint file by file, each written whole or not at all, and yield what came of each.

        What is there already is kept: a run that was killed goes on where it was. A file that
        cannot be read, or whose picture the network cannot take, fails alone.

        Args:
            stylizer: Of ``load_stylizer``.

        Raises:
            OSError: A result cannot be written.
        """
        for job in self.jobs:
            if job.target.exists():
                yield Outcome(str(job.source), KEPT)
                continue
            try:
                picture = read_picture(job.source, self.size)
                picture = Picture(stylizer(picture.pixels), picture.alpha)
            except Exception as error:  # Runtimes have each their own for one that is too small.
                yield Outcome(str(job.source), FAILED, first_line(error))
                continue
            write_picture(job.target, picture)
            yield Outcome(str(job.source), WRITTEN)


def plan_work(
    images: str | os.PathLike | Sequence[str | os.PathLike],
    out: str | os.PathLike,
    size: int | None = None,
) -> Work:
    """Return the work for picture files and for folders of pictures at any depth.

    Results have the names of their sources, of those in a folder in the same folders below ``out``.

    Args:
        images: Files and folders.
        out: A folder; for a single file also a file, which decides about the format.
        size: The longest side of larger pictures is reduced to it; None leaves them.

    Raises:
        ValueError: One of ``images`` does not exist or holds no picture, two would have the same
            result, or ``out`` is a file where a folder is needed or of an unknown format, lies
            within ``images``, or cannot be written.
    """
    given = [images] if isinstance(images, str | os.PathLike) else list(images)
    if len(given) == 1 and not Path(given[0]).is_dir():
        return Work(_jobs(Path(given[0]), Path(out)), size, None)
    if Path(out).suffix.lower() in SUFFIXES:
        raise ValueError(f"`out` must be a folder for several images. Received: out={str(out)!r}")
    jobs = [job for each in given for job in _jobs(Path(each), Path(out))]
    targets = Counter(job.target for job in jobs)
    if twice := [target for target, count in targets.items() if count > 1]:
        raise ValueError(f"`images` must differ in name. Received: two for {str(twice[0])!r}")
    return Work(jobs, size, Path(out))


def _jobs(images: Path, out: Path) -> list[Job]:
    """What there is to do for a picture file, or for a folder of them at any depth."""
    if not images.exists():
        raise ValueError(f"`images` must exist. Received: images={str(images)!r}")
    jobs = _jobs_below(images, out) if images.is_dir() else [_single_job(images, out)]
    for folder in sorted({job.target.parent for job in jobs}):
        writable_file("out", folder / jobs[0].target.name)
    return jobs


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


def _check_record(folder: Path, settings: Mapping[str, Any]) -> None:
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
