"""Which painting an image gets, and paintings that cannot be read."""

from collections import Counter

import numpy as np
import pytest
from PIL import Image

from srm_keras.data.stylized.painting import Paintings


def first(paintings, image):
    return next(paintings.candidates(image))


def test_all_files_below_the_folder_but_hidden_ones(paintings, tmp_path_factory):
    (paintings / ".hidden.png").write_bytes(b"")
    (paintings / "notes.txt").write_text("no painting")
    assert Paintings(paintings).names == ("a.png", "b.jpg", "d.png", "more/c.png")
    (paintings / "linked").symlink_to(tmp_path_factory.mktemp("linked"))
    (paintings / "linked" / "e.JFIF").write_bytes(b"")
    assert Paintings(paintings).names[-2:] == ("linked/e.JFIF", "more/c.png")


def test_choice_depends_on_seed_and_image_and_is_even(paintings):
    images = [f"train/{k}.jpg" for k in range(2000)]
    listed = [Paintings(paintings, 8, seed) for seed in (0, 1, 0)]
    *chosen, again = [[first(each, image) for image in images] for each in listed]
    assert chosen[0] == again
    same = np.mean([one == other for one, other in zip(*chosen, strict=True)])
    assert 0.2 < same < 0.3
    for name, count in Counter(chosen[0]).items():
        assert 430 < count < 570, name


def test_shorter_side_becomes_size(paintings):
    image = Paintings(paintings, 10).read("b.jpg")
    assert image.shape == (10, 14, 3)
    assert Paintings(paintings, 40).read("a.png").shape == (40, 60, 3)


def test_pixels_are_those_of_pillow(paintings):
    with Image.open(paintings / "a.png") as image:
        expected = np.asarray(image.convert("RGB").resize((15, 10), Image.Resampling.LANCZOS))
    np.testing.assert_array_equal(Paintings(paintings, 10).read("a.png"), expected)


def test_an_unreadable_painting_changes_only_its_own_images(paintings):
    images = [f"train/{k}.jpg" for k in range(100)]
    whole = Paintings(paintings, 8)
    before = [first(whole, image) for image in images]
    (paintings / "b.jpg").write_bytes(b"no image")
    broken = Paintings(paintings, 8)
    assert broken.read("b.jpg") is None
    assert list(broken.unreadable) == ["b.jpg"]
    after = [first(broken, image) for image in images]
    for one, other in zip(before, after, strict=True):
        assert one == other if one != "b.jpg" else other != "b.jpg"
    replaced = {other for one, other in zip(before, after, strict=True) if one == "b.jpg"}
    assert len(replaced) == 3


def test_candidates_end_in_an_error_when_all_are_unreadable(paintings):
    for name in ("a.png", "b.jpg", "d.png", "more/c.png"):
        (paintings / name).write_bytes(b"")
    broken = Paintings(paintings, 8)
    with pytest.raises(ValueError, match=r"must hold a painting that can be read.*4 files"):
        all(broken.read(name) is None for name in broken.candidates("x"))


def test_digest_follows_the_files(paintings):
    before = Paintings(paintings).parameters()
    (paintings / "e.png").write_bytes((paintings / "a.png").read_bytes())
    assert Paintings(paintings).parameters() != before


def test_wrong_arguments_are_refused(tmp_path, paintings):
    with pytest.raises(ValueError, match="`paintings` must be a folder that exists"):
        Paintings(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="`paintings` must hold JPEG, PNG, BMP or WebP files"):
        Paintings(tmp_path / "empty")
    with pytest.raises(ValueError, match="`painting_size` must be a positive integer"):
        Paintings(paintings, 0)
