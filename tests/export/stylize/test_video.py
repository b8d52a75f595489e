"""Videos, written and read by PyAV."""

import itertools
from fractions import Fraction

import numpy as np
import pytest
from PIL import Image

from srm_keras.export.stylize.files import KEPT, WRITTEN, Options
from srm_keras.export.stylize.video import Frame, VideoInfo, read_frames, read_info, write_video
from srm_keras.export.stylize.work import plan_work
from tests.export.stylize.networks import Inverter

av = pytest.importorskip("av")

RATE = Fraction(30000, 1001)
SETTINGS = {"stylizer": "abc"}


def grey(level, shape=(64, 96)):
    return np.full((*shape, 3), level, "uint8")


@pytest.fixture
def clip(tmp_path):
    """Five frames, each lighter than that before."""
    path = tmp_path / "clip.mp4"
    frames = [Frame(grey(40 * number + 40), number / RATE) for number in range(5)]
    write_video(path, frames, VideoInfo(5, RATE, Fraction(1, 30000)))
    return path


def means(path):
    return [frame.pixels.mean() for frame in read_frames(path)]


def test_frames_come_back_in_their_order_and_at_their_times(clip):
    assert means(clip) == pytest.approx([40, 80, 120, 160, 200], abs=2)
    assert [frame.time for frame in read_frames(clip)] == [n / RATE for n in range(5)]
    info = read_info(clip)
    assert (info.frames, info.frame_rate) == (5, RATE)


def test_irregular_times_are_kept(tmp_path):
    times = [Fraction(n, 100) for n in (0, 4, 5, 30)]
    frames = [Frame(grey(60), time) for time in times]
    write_video(tmp_path / "a.mkv", frames, VideoInfo(4, Fraction(25), Fraction(1, 1000)))
    assert [frame.time for frame in read_frames(tmp_path / "a.mkv")] == times


def test_an_odd_row_and_column_are_left_out(tmp_path):
    frames = [Frame(grey(60, (65, 97)), Fraction(0))]
    write_video(tmp_path / "a.mp4", frames, VideoInfo(1, RATE, Fraction(1, 30000)))
    assert next(read_frames(tmp_path / "a.mp4")).pixels.shape == (64, 96, 3)


def test_a_video_becomes_a_video(clip, tmp_path):
    out = tmp_path / "out.mp4"
    work = plan_work(clip, out, Options())
    work.begin(SETTINGS)
    assert [outcome.state for outcome in work.paint(Inverter())] == [WRITTEN] * 5
    assert means(out) == pytest.approx([215, 175, 135, 95, 55], abs=3)
    assert read_info(out).frame_rate == RATE
    assert [f.time for f in read_frames(out)] == [f.time for f in read_frames(clip)]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["clip.mp4", "out.mp4"]
    again = plan_work(clip, out, Options())
    again.begin(SETTINGS)
    assert [outcome.state for outcome in again.paint(Inverter())] == [KEPT]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["clip.mp4", "out.mp4"]


@pytest.mark.parametrize("name", ["out.mp4", "frames"])
def test_a_killed_run_goes_on_where_it_was(name, clip, tmp_path):
    stylizer = Inverter()
    work = plan_work(clip, tmp_path / name, Options())
    work.begin(SETTINGS)
    list(itertools.islice(work.paint(stylizer), 3))
    work.begin(SETTINGS)
    states = [outcome.state for outcome in work.paint(stylizer)]
    assert states == [KEPT] * 3 + [WRITTEN] * 2
    assert stylizer.painted == 5


def test_frames_of_two_networks_are_not_mixed(clip, tmp_path):
    work = plan_work(clip, tmp_path / "out.mp4", Options())
    work.begin(SETTINGS)
    list(itertools.islice(work.paint(Inverter()), 3))
    with pytest.raises(ValueError, match="another stylizer"):
        work.begin({"stylizer": "other"})


def test_frames_in_a_folder_are_numbered_and_reduced(clip, tmp_path):
    out = tmp_path / "frames"
    work = plan_work(clip, out, Options(size=48))
    work.begin(SETTINGS)
    assert len(list(work.paint(Inverter()))) == 5
    files = sorted(out.glob("*.png"))
    assert [file.name for file in files] == [f"frame_{n:06d}.png" for n in range(1, 6)]
    assert np.asarray(Image.open(files[0])).shape == (32, 48, 3)
    assert '"30000/1001"' in (out / "video.json").read_text()


def test_overwriting_begins_anew(clip, tmp_path):
    out = tmp_path / "out.mp4"
    out.write_text("old")
    work = plan_work(clip, out, Options())
    work.begin(SETTINGS, overwrite=True)
    assert len(list(work.paint(Inverter()))) == 5
    assert read_info(out).frames == 5


def test_a_frame_that_cannot_be_painted_ends_the_run_and_leaves_the_others(clip, tmp_path):
    stylizer = Inverter()

    def fails_at_third(image, tile):
        if stylizer.painted == 2:
            raise RuntimeError("out of memory")
        return stylizer(image)

    work = plan_work(clip, tmp_path / "out.mp4", Options())
    with pytest.raises(ValueError, match=r"frame_000003.png could not be painted \(out of memory"):
        list(work.paint(fails_at_third))
    assert len(list((tmp_path / "out.mp4.frames").glob("*.png"))) == 2
    assert not (tmp_path / "out.mp4").exists()


def test_videos_that_cannot_be_read_or_written_are_refused(clip, tmp_path):
    (tmp_path / "broken.mp4").write_text("no video")
    with pytest.raises(ValueError, match=r"a video that can be read .*broken.mp4"):
        plan_work(tmp_path / "broken.mp4", tmp_path / "out.mp4", Options())
    with pytest.raises(ValueError, match="a folder for the frames, or a video"):
        plan_work(clip, tmp_path / "out.gif", Options())
    with pytest.raises(ValueError, match="must not be the video itself"):
        plan_work(clip, clip, Options())
