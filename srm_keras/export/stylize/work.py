"""What there is to paint: a picture, or a folder of them."""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from srm_keras.export.stylize.files import (
    Job,
    Options,
    Outcome,
    plan_jobs,
    remove_results,
    stylize_files,
)
from srm_keras.export.stylize.record import check_record, remove_record, write_record
from srm_keras.export.stylize.stylizer import Stylizer


@dataclass(frozen=True)
class Work:
    """Pictures to paint, all checked.

    Attributes:
        jobs: one for each of them.
        options: how they are painted.
        folder: where many results go, which notes what they were made with; None for one.
    """

    jobs: Sequence[Job]
    options: Options
    folder: Path | None

    def begin(self, settings: Mapping[str, Any], overwrite: bool = False) -> None:
        """Make the results' folder ready; without ``overwrite``, what is there will be kept.

        Args:
            settings: what decides how results look, as JSON can hold it.
            overwrite: whether to delete what is there.

        Raises:
            ValueError: what is there was made with other settings.
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


def plan_work(images: str | os.PathLike, out: str | os.PathLike, options: Options) -> Work:
    """Return the work for a picture file, or for a folder of pictures at any depth.

    Raises:
        ValueError: ``images`` or ``out`` is not of that kind; see ``plan_jobs``.
    """
    folder = Path(out) if Path(images).is_dir() else None
    return Work(plan_jobs(images, out), options, folder)
