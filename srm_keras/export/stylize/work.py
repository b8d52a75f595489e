"""What there is to paint, whatever it is: a picture, a folder of them, or a video."""

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from srm_keras.export.stylize.files import (
    Options,
    Outcome,
    plan_jobs,
    remove_results,
    stylize_files,
)
from srm_keras.export.stylize.frames import frames_folder, plan_video, remove_frames, stylize_video
from srm_keras.export.stylize.record import check_record, remove_record, write_record
from srm_keras.export.stylize.stylizer import Stylizer
from srm_keras.export.stylize.video import is_video


@dataclass(frozen=True)
class Work:
    """Pictures to paint, all checked.

    Attributes:
        total: how many there are; for a video about so many.
        noun: what they are.
        paint: paints them one by one.
        clear: deletes what earlier runs have made of them.
        folder: says where many results go, which notes what they were made with; None for one.
    """

    total: int
    noun: str
    paint: Callable[[Stylizer], Iterator[Outcome]]
    clear: Callable[[], None]
    folder: Callable[[], Path | None]

    def begin(self, settings: Mapping[str, Any], overwrite: bool = False) -> None:
        """Make the results' folder ready; without ``overwrite``, what is there will be kept.

        Args:
            settings: what decides how results look, as JSON can hold it.
            overwrite: whether to delete what is there.

        Raises:
            ValueError: what is there was made with other settings.
        """
        if overwrite:
            self.clear()
        folder = self.folder()
        if folder and overwrite:
            remove_record(folder)
        if folder:
            check_record(folder, settings)
            write_record(folder, settings)


def plan_work(images: str | os.PathLike, out: str | os.PathLike, options: Options) -> Work:
    """Return the work for a picture file, a folder of pictures at any depth, or a video.

    Raises:
        ValueError: ``images`` or ``out`` is not of that kind; see ``plan_jobs``, ``plan_video``.
        ImportError: for a video, PyAV is not installed.
    """
    if Path(images).is_file() and is_video(images):
        return Work(
            total=plan_video(images, out).frames,
            noun="frames",
            paint=lambda stylizer: stylize_video(stylizer, images, out, options),
            clear=partial(remove_frames, out),
            folder=lambda: None if Path(out).is_file() else frames_folder(out),
        )
    jobs = plan_jobs(images, out)
    return Work(
        total=len(jobs),
        noun="images",
        paint=lambda stylizer: stylize_files(stylizer, jobs, options),
        clear=partial(remove_results, jobs),
        folder=lambda: Path(out) if Path(images).is_dir() else None,
    )
