"""Video files: frames out of them, and into them, one at a time."""

import contextlib
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from srm_keras.export.foreign import first_line, require
from srm_keras.files import write_atomically

READ = (".mp4", ".mov", ".m4v", ".mkv", ".webm", ".avi")
WRITE = (".mp4", ".mov", ".mkv")
CODEC = "libx264"
RATE_FACTOR = "18"
"""H.264's constant rate factor, at which losses are hard to see."""


@dataclass(frozen=True)
class VideoInfo:
    """What a video says of itself.

    Attributes:
        frames: about how many there are, at least 1.
        frame_rate: frames a second, on average.
        time_base: the unit of time of its frames, in seconds.
    """

    frames: int
    frame_rate: Fraction
    time_base: Fraction


@dataclass(frozen=True)
class Frame:
    """A frame of a video.

    Attributes:
        pixels: uint8 RGB (H, W, 3), upright.
        time: in seconds.
    """

    pixels: np.ndarray
    time: Fraction


def is_video(path: str | os.PathLike) -> bool:
    """Whether the name is that of a video file that can be read."""
    return Path(path).suffix.lower() in READ


def read_info(path: str | os.PathLike) -> VideoInfo:
    """Return what a video says of itself.

    Raises:
        ValueError: the file does not exist or is no video.
        ImportError: PyAV is not installed.
    """
    with _opened(path) as (_, stream):
        rate = stream.average_rate or stream.guessed_rate or Fraction(25)
        frames = stream.frames
        if not frames and stream.duration:
            frames = round(stream.duration * stream.time_base * rate)
        return VideoInfo(max(frames, 1), Fraction(rate), Fraction(stream.time_base))


def read_frames(path: str | os.PathLike) -> Iterator[Frame]:
    """Yield the frames of a video's first stream of pictures, in the order of their times.

    Raises:
        ValueError: as for ``read_info``, or the file is broken somewhere.
        ImportError: PyAV is not installed.
    """
    info = read_info(path)
    with _opened(path) as (container, stream):
        for number, frame in enumerate(container.decode(stream)):
            turned = np.rot90(frame.to_ndarray(format="rgb24"), round(frame.rotation / 90))
            told = frame.pts is not None and frame.time_base is not None
            time = frame.pts * frame.time_base if told else number / info.frame_rate
            yield Frame(np.ascontiguousarray(turned), Fraction(time))


def write_video(path: str | os.PathLike, frames: Iterable[Frame], info: VideoInfo) -> None:
    """Write a video, H.264 without sound, atomically.

    Args:
        path: ``*.mp4``, ``*.mov`` or ``*.mkv``.
        frames: all of one size. An odd last row or column is left out: H.264 has none.
        info: the frame rate and the unit of time are taken from it.

    Raises:
        ImportError: PyAV is not installed, or was built without the encoder.
    """
    write_atomically(path, lambda temporary: _encode(temporary, frames, info))


def _encode(path: Path, frames: Iterable[Frame], info: VideoInfo) -> None:
    av = require("av", "video")
    if CODEC not in av.codecs_available:
        raise ImportError(f"This build of PyAV has no encoder {CODEC!r}: install that of PyPI.")
    with av.open(os.fspath(path), "w") as container:
        stream: Any = None
        last = -1
        for frame in frames:
            height, width = (side - side % 2 for side in frame.pixels.shape[:2])
            if stream is None:
                stream = container.add_stream(CODEC, rate=info.frame_rate)
                stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
                stream.options = {"crf": RATE_FACTOR}
                stream.codec_context.time_base = info.time_base
            pixels = np.ascontiguousarray(frame.pixels[:height, :width])
            picture = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            last = max(round(frame.time / info.time_base), last + 1)
            picture.pts, picture.time_base = last, info.time_base
            container.mux(stream.encode(picture))
        if stream is not None:
            container.mux(stream.encode())


@contextlib.contextmanager
def _opened(path: str | os.PathLike) -> Iterator[tuple[Any, Any]]:
    """An open container and its first stream of pictures; FFmpeg's errors in one line."""
    av = require("av", "video")
    try:
        with av.open(os.fspath(path)) as container:
            if not container.streams.video:
                raise ValueError(f"`images` must be a video. Received: images={str(path)!r}")
            yield container, container.streams.video[0]
    except (av.error.FFmpegError, OSError) as error:
        raise ValueError(
            f"`images` must be a video that can be read ({first_line(error)}). "
            f"Received: images={str(path)!r}"
        ) from error
