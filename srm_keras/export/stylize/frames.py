"""Videos painted frame by frame, with one frame in memory at a time."""

import os
import shutil
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path

from srm_keras.export.foreign import first_line
from srm_keras.export.stylize.files import KEPT, WRITTEN, Options, Outcome
from srm_keras.export.stylize.pictures import Picture, read_picture, resized, write_picture
from srm_keras.export.stylize.stylizer import Stylizer
from srm_keras.export.stylize.video import (
    WRITE,
    Frame,
    VideoInfo,
    read_frames,
    read_info,
    write_video,
)
from srm_keras.files import writable_file, write_json


def plan_video(images: str | os.PathLike, out: str | os.PathLike) -> VideoInfo:
    """Check that a video can be read and its result written, and return what it says of itself.

    Args:
        images: the video.
        out: a file ``*.mp4``, ``*.mov`` or ``*.mkv``, or a folder for the frames.

    Raises:
        ValueError: ``images`` cannot be read, or ``out`` is of another format, is ``images`` or
            cannot be written.
        ImportError: PyAV is not installed.
    """
    info = read_info(images)
    target = Path(out)
    if target.suffix and target.suffix.lower() not in WRITE:
        raise ValueError(
            f"`out` must be a folder for the frames, or a video {', '.join(WRITE)}. "
            f"Received: out={str(out)!r}"
        )
    if target.resolve() == Path(images).resolve():
        raise ValueError(f"`out` must not be the video itself. Received: out={str(out)!r}")
    writable_file("out", target if target.suffix else _frame_file(target, 1))
    return info


def frames_folder(out: str | os.PathLike) -> Path:
    """Where painted frames lie: ``out`` itself, or beside a video until that is written."""
    path = Path(out)
    return path.with_name(f"{path.name}.frames") if path.suffix else path


def stylize_video(
    stylizer: Stylizer, images: str | os.PathLike, out: str | os.PathLike, options: Options
) -> Iterator[Outcome]:
    """Paint a video frame by frame, and yield what came of each.

    Frames become PNG files in ``frames_folder(out)``, and those that are there are kept: a run that
    was killed goes on where it was. Where ``out`` is a video it is made of them at the end, with
    the times of the frames of ``images``, and the folder goes.

    Args:
        stylizer: of ``load_stylizer``.
        images: the video.
        out: as for ``plan_video``; a folder also gets ``video.json`` with the frame rate.
        options: how.

    Raises:
        ValueError: the video is broken somewhere, or the network cannot take its frames; those
            that were painted stay.
        OSError: a result cannot be written.
        ImportError: PyAV is not installed.
    """
    out, folder, info = Path(out), frames_folder(out), read_info(images)
    if out.is_file():
        yield Outcome(str(images), KEPT)
        return
    times: list[Fraction] = []
    for number, frame in enumerate(read_frames(images), start=1):
        times.append(frame.time)
        state = _paint(stylizer, frame, _frame_file(folder, number), options)
        yield Outcome(f"{images}, frame {number}", state)
    if folder == out:
        write_json(out / "video.json", {"frame_rate": str(info.frame_rate), "frames": len(times)})
        return
    write_video(out, _painted(folder, times), info)
    shutil.rmtree(folder)


def remove_frames(out: str | os.PathLike) -> None:
    """Delete what ``stylize_video`` has made earlier."""
    for file in frames_folder(out).glob("frame_*.png"):
        file.unlink()
    if Path(out).is_file():
        Path(out).unlink()


def _paint(stylizer: Stylizer, frame: Frame, target: Path, options: Options) -> str:
    if target.exists():
        return KEPT
    pixels = resized(frame.pixels, options.size) if options.size else frame.pixels
    try:
        painted = stylizer(pixels, options.tile)
    except Exception as error:  # Each runtime has its own for a picture that it cannot take.
        raise ValueError(f"{target.name} could not be painted ({first_line(error)})") from error
    write_picture(target, Picture(painted))
    return WRITTEN


def _painted(folder: Path, times: Sequence[Fraction]) -> Iterator[Frame]:
    for number, time in enumerate(times, start=1):
        yield Frame(read_picture(_frame_file(folder, number)).pixels, time)


def _frame_file(folder: Path, number: int) -> Path:
    return folder / f"frame_{number:06d}.png"
