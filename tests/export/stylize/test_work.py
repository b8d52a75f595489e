"""Files and folders of pictures, painted by a stand-in for a network."""

import itertools

import numpy as np
import pytest
from PIL import Image

from srm_keras.export.stylize.painting import FAILED, KEPT, WRITTEN, plan_work
from tests.export.stylize.networks import Inverter
from tests.support.encoded_images import encoded, pixels

IMAGE = pixels(8, 10)
SETTINGS = {"stylizer": "abc", "size": None}


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    (folder / "deep").mkdir(parents=True)
    for name in ("a.png", "a.PNG.txt", "deep/b.png", ".hidden.png"):
        (folder / name).write_bytes(encoded(IMAGE))
    (folder / "broken.jpg").write_text("no picture")
    (folder / "tiny.png").write_bytes(encoded(IMAGE[:2]))
    return folder


def states(work, stylizer):
    return [outcome.state for outcome in work.paint(stylizer)]


def shown(path):
    return np.asarray(Image.open(path))


def test_a_folder_is_painted_with_its_folders_and_broken_files_are_named(photos, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "c.BMP").write_bytes(encoded(IMAGE, "BMP"))
    (photos / "linked").symlink_to(tmp_path / "elsewhere")
    out, stylizer = tmp_path / "out", Inverter()
    work = plan_work(photos, out)
    outcomes = list(work.paint(stylizer))
    assert len(work.jobs) == 5
    assert {outcome.source: outcome.error for outcome in outcomes if outcome.error} == {
        str(photos / "broken.jpg"): "it is no picture",
        str(photos / "tiny.png"): "too small",
    }
    files = sorted(str(path.relative_to(out)) for path in out.rglob("*") if path.is_file())
    assert files == ["a.png", "deep/b.png", "linked/c.BMP"]
    assert np.array_equal(shown(out / "deep" / "b.png"), 255 - IMAGE)


def test_a_killed_run_goes_on_where_it_was(photos, tmp_path):
    out, stylizer = tmp_path / "out", Inverter()
    work = plan_work(photos, out)
    work.begin(SETTINGS)
    (first,) = itertools.islice(work.paint(stylizer), 1)
    assert first.state == WRITTEN
    stamp = (out / "a.png").stat().st_mtime_ns
    again = plan_work(photos, out)
    again.begin(SETTINGS)
    assert states(again, stylizer) == [KEPT, FAILED, WRITTEN, FAILED]
    assert stylizer.painted == 2
    assert (out / "a.png").stat().st_mtime_ns == stamp


def test_overwriting_paints_all_anew_and_leaves_other_files(photos, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "notes.png").write_text("mine")
    (out / "a.png").write_bytes(encoded(IMAGE))
    work = plan_work(photos, out)
    work.begin(SETTINGS, overwrite=True)
    assert states(work, Inverter()).count(WRITTEN) == 2
    assert np.array_equal(shown(out / "a.png"), 255 - IMAGE)
    assert (out / "notes.png").read_text() == "mine"


def test_pictures_of_two_settings_are_not_mixed(photos, tmp_path):
    work = plan_work(photos, tmp_path / "out")
    work.begin(SETTINGS)
    states(work, Inverter())
    with pytest.raises(ValueError, match=r"overwritten.*with another size"):
        work.begin({**SETTINGS, "size": 9})
    assert (tmp_path / "out" / "a.png").exists()
    work.begin({**SETTINGS, "size": 9}, overwrite=True)
    assert not (tmp_path / "out" / "a.png").exists()
    work.begin({**SETTINGS, "size": 9})


def test_one_picture_goes_into_a_file_or_a_folder(photos, tmp_path):
    for out, file in (("x/new.webp", "x/new.webp"), ("folder", "folder/a.png")):
        work = plan_work(photos / "a.png", tmp_path / out, size=5)
        work.begin(SETTINGS)
        assert states(work, Inverter()) == [WRITTEN]
        assert shown(tmp_path / file).shape == (4, 5, 3)
        assert len(list((tmp_path / file).parent.iterdir())) == 1


@pytest.mark.parametrize(
    ("images", "out", "message"),
    [
        ("gone", "out", "must exist"),
        ("empty", "out", r"must hold pictures \(.jpg"),
        ("photos", "photos/out", "must lie outside"),
        ("photos", "out.png", "must be a folder"),
        ("photos/a.png", "out.gif", "a folder or a file .jpg"),
        ("photos/a.png", "photos", "must not be the image itself"),
        ("photos/a.png", "photos/a.png/b.png", "must lie in a folder"),
    ],
)
def test_what_cannot_be_is_refused_before_any_work(images, out, message, photos, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match=message):
        plan_work(tmp_path / images, tmp_path / out)
