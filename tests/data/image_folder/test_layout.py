"""Which files a split has."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from srm_keras.data.image_folder.layout import _part, list_images


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


def test_fraction_takes_its_part_of_every_class(classes):
    train, test = (list_images(classes, split, 0.25, 0) for split in ("train", "test"))
    assert len(train.paths) == 45
    assert len(test.paths) == 15
    assert sorted(test.labels) == [0] * 5 + [1] * 5 + [2] * 5
    assert not set(train.paths) & set(test.paths)
    assert len(list_images(classes, "test", None, 0).paths) == 12


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
    before = list_images(classes, "train", 0.25, 0)
    assert list(before.labels) != sorted(before.labels)
    assert len(set(before.labels[:10])) == 3
    splits_before = list_images(classes, "train", 0.01, 0).paths
    touch(classes, "a/new.png")
    after = list_images(classes, "train", 0.01, 0).paths
    assert len(set(splits_before) - set(after)) <= 1
    common = [path for path in after if path in splits_before]
    assert common == [path for path in splits_before if path in after]


@given(st.integers(2, 300), st.floats(0.001, 0.999))
@settings(max_examples=50)
def test_both_splits_get_files(count, fraction):
    files = list(range(count))
    test, train = _part(files, "test", fraction), _part(files, "train", fraction)
    assert sorted(test + train) == files
    assert test
    assert train
    assert abs(len(test) - fraction * count) <= 1


def test_other_files_are_ignored(classes, caplog):
    touch(classes, "a/notes.txt", "a/.hidden.jpg", ".cache/x.jpg", "readme.md", "stray.png")
    (classes / "a" / "folder.jpg").mkdir()
    assert len(list_images(classes, "train", 0.25, 0).paths) == 45
    assert "1 images lie in" in caplog.text


def test_a_class_may_be_a_link(classes, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("linked")
    touch(elsewhere, "1.jpg", "2.jpg")
    (classes / "d").symlink_to(elsewhere)
    assert list_images(classes, "train", None, 0).class_names == ("a", "b", "c", "d")


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
        (["a/1.jpg", "b/1.jpg"], "test", None, "No class of"),
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
