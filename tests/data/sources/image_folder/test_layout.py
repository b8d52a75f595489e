"""Which files a split has."""

import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from srm_keras.data.sources.image_folder.layout import list_images, part_of


def touch(root, *names):
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")


def names(listed, root):
    return {path.relative_to(root).as_posix() for path in listed.paths}


@pytest.fixture
def classes(tmp_path):
    touch(tmp_path, *(f"{c}/{k:02d}.jpg" for c in ("b", "a", "c") for k in range(20)))
    return tmp_path


@pytest.fixture
def splits(tmp_path):
    touch(tmp_path, "train/b/1.png", "train/a/2.JPG", "train/a/deep/er/3.jpeg", "train/c/4.jpg")
    touch(tmp_path, "test/a/5.jpg", "test/b/6.jpg", "val/c/7.jpg")
    return tmp_path


def test_split_folders(splits):
    train = list_images(splits, "train", None, 0)
    assert train.class_names == ("a", "b", "c")
    assert names(train, splits) == {
        "train/b/1.png",
        "train/a/2.JPG",
        "train/a/deep/er/3.jpeg",
        "train/c/4.jpg",
    }
    for path, label in zip(train.paths, train.labels, strict=True):
        assert path.relative_to(splits).parts[1] == "abc"[label]
    val = list_images(str(splits), "val", None, 0)
    assert (val.labels, val.class_names) == ((2,), ("a", "b", "c"))


def test_a_class_that_a_split_lacks_is_told(splits, caplog):
    assert len(list_images(splits, "test", None, 0).paths) == 2
    assert "has no folder for: c" in caplog.text


def test_fraction_takes_about_its_part(classes):
    train, test = (list_images(classes, split, 0.25, 0) for split in ("train", "test"))
    assert len(train.paths) + len(test.paths) == 60
    assert 5 <= len(test.paths) <= 25  # of Binomial(60, 0.25), whose deviation is 3.4
    assert set(test.labels) == {0, 1, 2}
    assert not set(train.paths) & set(test.paths)
    assert list_images(classes, "test", None, 0).paths == list_images(classes, "test", 0.2, 0).paths


def test_the_split_is_a_function_of_seed_and_path(classes, tmp_path_factory):
    listed = list_images(classes, "test", 0.25, 3)
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    touch(elsewhere, *(f"{c}/{k:02d}.jpg" for k in reversed(range(20)) for c in ("c", "b", "a")))
    moved = list_images(elsewhere, "test", 0.25, 3)
    assert [p.relative_to(classes) for p in listed.paths] == [
        p.relative_to(elsewhere) for p in moved.paths
    ]
    assert set(list_images(classes, "test", 0.25, 4).paths) != set(listed.paths)


def test_the_order_is_mixed_and_a_new_file_moves_no_other(classes):
    before = {split: list_images(classes, split, 0.25, 0) for split in ("train", "test")}
    assert list(before["train"].labels) != sorted(before["train"].labels)
    assert len(set(before["train"].labels[:10])) == 3
    for k in range(40):
        touch(classes, f"a/new_{k}.png")
        for split, listed in before.items():
            after = list_images(classes, split, 0.25, 0).paths
            assert [path for path in after if "new" not in path.name] == list(listed.paths)
    (classes / "a" / "new_3.png").unlink()
    (classes / "b" / "07.jpg").unlink()
    for split, listed in before.items():
        after = list_images(classes, split, 0.25, 0).paths
        kept = [path for path in listed.paths if path.exists()]
        assert [path for path in after if "new" not in path.name] == kept


@given(st.integers(0, 2**63 - 1), st.floats(0.05, 0.95))
@settings(max_examples=20)
def test_every_file_is_in_one_split_and_their_share_is_expected(seed, fraction):
    root = Path("/photos")
    files = [root / f"{k}.jpg" for k in range(500)]
    test = part_of(files, root, "test", fraction, seed)
    train = part_of(files, root, "train", fraction, seed)
    assert sorted(test + train) == sorted(files)
    assert abs(len(test) - 500 * fraction) <= 6 * (500 * fraction * (1 - fraction)) ** 0.5
    larger = part_of(files, root, "test", min(fraction + 0.04, 1), seed)
    assert set(test) <= set(larger)


def test_the_same_name_in_another_unicode_form_is_in_the_same_split():
    root = Path("/photos")
    for k in range(50):
        composed, apart = root / f"caf\u00e9{k}.jpg", root / f"cafe\u0301{k}.jpg"
        assert len(part_of([composed, apart], root, "test", 0.5, 0)) in (0, 2)


def test_a_class_without_a_file_in_a_split_is_told_and_an_empty_split_refused(tmp_path, caplog):
    touch(tmp_path, *(f"a/{k}.jpg" for k in range(20)), "b/1.jpg")
    both = [list_images(tmp_path, split, 0.25, 0) for split in ("train", "test")]
    assert sum(listed.labels.count(1) for listed in both) == 1
    assert "has no file of: b" in caplog.text


def test_other_files_are_counted_by_suffix(classes, caplog):
    touch(classes, "a/notes.txt", "a/.hidden.jpg", ".cache/x.jpg", "readme.md", "stray.png")
    touch(classes, "a/x.gif", "b/y.GIF", "b/deep/z.tiff", "c/README", "a/.thumbs/1.jpg")
    (classes / "a" / "folder.jpg").mkdir()
    for _ in range(2):
        both = [list_images(classes, split, 0.25, 0).paths for split in ("train", "test")]
        assert sum(map(len, both)) == 60
    assert "1 images lie in" in caplog.text
    assert caplog.text.count("2 .gif, 1 .tiff, 1 .txt, 1 no suffix") == 1


@pytest.mark.parametrize("suffix", ["jfif", "jpe", "bmp", "webp", "JFIF", "WebP", "JPG", "Png"])
def test_every_suffix_of_an_image_counts(classes, suffix):
    touch(classes, f"a/new.{suffix}")
    both = [list_images(classes, split, 0.25, 0).paths for split in ("train", "test")]
    assert sum(map(len, both)) == 61


def test_links_to_folders_are_followed(classes, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("linked")
    touch(elsewhere, "1.jpg", "2.jpg", "deep/3.jpg")
    (classes / "d").symlink_to(elsewhere)
    (classes / "a" / "more").symlink_to(elsewhere)
    both = [list_images(classes, split, 0.25, 0) for split in ("train", "test")]
    assert both[0].class_names == ("a", "b", "c", "d")
    found = set().union(*(names(listed, classes) for listed in both))
    assert {"d/1.jpg", "d/deep/3.jpg", "a/more/2.jpg", "a/more/deep/3.jpg"} <= found
    assert len(found) == 66


@pytest.mark.parametrize(("link", "target"), [("a/up", ".."), ("a/x", "../b"), ("a/self", "self")])
def test_links_in_a_circle_are_named(classes, link, target):
    (classes / link).symlink_to(target)
    (classes / "b" / "back").symlink_to("../a")
    with pytest.raises(ValueError, match=r"(a|b)/\w+") as error:
        list_images(classes, "train", 0.25, 0)
    assert re.search(
        "is a link to a folder that it lies in|levels of symbolic links", str(error.value)
    )


def test_a_class_called_train_is_no_split(tmp_path):
    touch(tmp_path, "train/1.jpg", "train/2.jpg", "plane/3.jpg", "plane/4.jpg")
    assert list_images(tmp_path, "train", 0.5, 0).class_names == ("plane", "train")


@pytest.mark.parametrize(
    ("files", "split", "fraction", "message"),
    [
        ([], "train", None, "no image was found"),
        (["a/x.txt"], "train", None, "no image was found"),
        (["x.jpg"], "train", None, "no image was found"),
        (["a/1.jpg", "b/x.txt", "c/y.md"], "train", None, "without any image: b, c."),
        (["train/a/1.jpg", "train/b/x.txt"], "train", None, "without any image: b."),
        (["train/a/1.jpg", "test/a/x.txt", "test/b/1.jpg"], "test", None, "any image: a."),
        (["train/a/1.jpg", "test/b/2.jpg"], "test", None, "training split does not have: b."),
        (["train/a/1.jpg", "test/a/2.jpg"], "tset", None, "did you mean 'test'?"),
        (["a/1.jpg"], "validation", None, "`split` must be one of ['train', 'test']"),
        (["train/a/1.jpg"], "train", 0.5, "`test_fraction` must be left out"),
        (["test/a/1.jpg", "Train/a/2.jpg"], "train", None, "split folder named 'train'"),
        (["a/1.jpg"], "test", 1e-9, "No file of"),
        (["a/1.jpg", "b/1.jpg"], "train", 1 - 1e-9, "falls into the split 'train' with"),
        (["a/1.gif"], "train", None, "JPEG, PNG, BMP or WebP files, and no image was found"),
    ],
)
def test_bad_folders(tmp_path, files, split, fraction, message):
    touch(tmp_path, *files)
    with pytest.raises(ValueError, match=re.escape(message)):
        list_images(tmp_path, split, fraction, 0)


def test_wrong_paths(tmp_path):
    touch(tmp_path, "file")
    for path in (tmp_path / "missing", tmp_path / "file"):
        with pytest.raises(ValueError, match="`data_dir` must be a folder that exists"):
            list_images(path, "train", None, 0)
