import shutil
import types
from dataclasses import replace

import numpy as np
import pytest

from srm_keras.data import Examples, fingerprint, load_examples
from srm_keras.data.examples import DatasetInfo
from srm_keras.data.sources.prepared import Records
from srm_keras.data.texture_shapes import source


@pytest.fixture
def folder(tmp_path):
    """Two classes of five files each; what is in them is never read."""
    for name in ("cat", "dog"):
        for k in range(5):
            path = tmp_path / "here" / "train" / name / f"{k}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(bytes(10 + k))
    return tmp_path / "here"


def load(root, **options):
    return load_examples("image_folder", "train", data_dir=root, verify=False, **options)


def difference(one, other, listing):
    """What is said where `one` was listed in a file and `other` is there now."""
    fingerprint.write_listing(listing, {"train": one})
    saved, now = ({"train": fingerprint.fingerprint(each)} for each in (one, other))
    before = fingerprint.read_listing(listing)
    return fingerprint.differences(saved, now, before, fingerprint.listed({"train": other}))


def add_two(root):
    for name in ("cat/x.jpg", "dog/y.jpg"):
        (root / "train" / name).write_bytes(b"1")


def add_four(root):
    for k in range(4):
        (root / "train" / "cat" / f"x{k}.jpg").write_bytes(b"1")


def remove(root):
    (root / "train" / "dog" / "3.jpg").unlink()


def resize(root):
    (root / "train" / "dog" / "3.jpg").write_bytes(b"1")


def relabel(root):
    (root / "train" / "dog" / "3.jpg").rename(root / "train" / "cat" / "dog3.jpg")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (add_two, {"2 files added to train (train/cat/x.jpg, train/dog/y.jpg)"}),
        (remove, {"1 file removed from train (train/dog/3.jpg)"}),
        (resize, {"1 file of train with another size (train/dog/3.jpg)"}),
        (
            relabel,
            {
                "1 file added to train (train/cat/dog3.jpg)",
                "1 file removed from train (train/dog/3.jpg)",
            },
        ),
    ],
)
def test_what_changed_in_a_folder_is_told_by_name(change, told, folder, tmp_path):
    before = load(folder)
    listing = tmp_path / "data.csv.gz"
    fingerprint.write_listing(listing, {"train": before})
    saved = {"train": fingerprint.fingerprint(before)}
    change(folder)
    after = {"train": load(folder)}
    now = {"train": fingerprint.fingerprint(after["train"])}
    files = fingerprint.read_listing(listing), fingerprint.listed(after)
    found = fingerprint.differences(saved, now, *files)
    assert {_in_order(part) for part in found.split("; ")} == {_in_order(part) for part in told}
    assert "train" in fingerprint.differences(saved, now, {}, {})


def _in_order(text):
    """The names in brackets come in the order of the data."""
    head, _, names = text.rstrip(")").partition(" (")
    return head, frozenset(names.split(", "))


def test_many_names_are_cut(folder, tmp_path):
    before = load(folder)
    fingerprint.write_listing(tmp_path / "data.csv.gz", {"train": before})
    saved = {"train": fingerprint.fingerprint(before)}
    add_four(folder)
    after = {"train": load(folder)}
    now = {"train": fingerprint.fingerprint(after["train"])}
    files = fingerprint.read_listing(tmp_path / "data.csv.gz"), fingerprint.listed(after)
    told = fingerprint.differences(saved, now, *files)
    assert told.startswith("4 files added to train (")
    assert told.endswith(", …)")
    assert told.count("jpg") == 3


def test_a_folder_that_moved_is_the_same(folder, tmp_path):
    before = fingerprint.fingerprint(load(folder))
    shutil.move(folder, tmp_path / "there")
    assert fingerprint.fingerprint(load(tmp_path / "there")) == before
    (tmp_path / "there" / "train" / "cat" / "0.jpg").touch()
    assert fingerprint.fingerprint(load(tmp_path / "there")) == before


def test_folds_domains_groups_and_order_are_in_it(folder, tmp_path):
    whole, tagged = load(folder), load(folder, group_pattern=r"^(\d)")
    fold = whole.subset(range(0, 10, 2))
    others = [whole, tagged, fold, whole.subset(range(9, -1, -1)), load(folder, seed=1)]
    digests = [fingerprint.fingerprint(each)["digest"] for each in others]
    assert len(set(digests)) == len(digests)
    told = [difference(whole, each, tmp_path / "data.csv.gz") for each in others[1:]]
    assert told[0].startswith("10 files of train with another group (")
    assert told[1].startswith("5 files removed from train (")
    assert told[2:] == ["the files of train come in another order or choice"] * 2


def test_names_that_are_no_utf8_can_be_listed(folder, tmp_path):
    (folder / "train" / "cat" / "caf\udce9.jpg").write_bytes(b"1")
    examples = load(folder)
    fingerprint.write_listing(tmp_path / "data.csv.gz", {"train": examples})
    listed = fingerprint.read_listing(tmp_path / "data.csv.gz")
    assert listed == fingerprint.listed({"train": examples})
    assert "train/cat/caf\udce9.jpg" in listed["train"]
    assert fingerprint.fingerprint(examples)["examples"] == 11


def test_a_listing_that_is_damaged_is_none(folder, tmp_path):
    path = tmp_path / "data.csv.gz"
    fingerprint.write_listing(path, {"train": load(folder)})
    path.write_bytes(path.read_bytes()[:-9])
    assert fingerprint.read_listing(path) == fingerprint.read_listing(tmp_path / "none") == {}


def in_memory(images, labels=(0, 1), groups=None):
    info = DatasetInfo("npz", "train", 2, 2, ("a", "b"), (4, 4, 3))
    return Examples(images, np.array(labels, "int32"), info, groups=groups)


def test_images_in_memory_are_known_by_their_contents(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (2, 4, 4, 3), "uint8")
    changed = images.copy()
    changed[1, 3, 3, 2] ^= 1
    same = fingerprint.fingerprint(in_memory(images))
    assert fingerprint.fingerprint(in_memory(images[::-1].copy()[::-1])) == same
    others = (
        in_memory(changed),
        in_memory(images, (1, 0)),
        in_memory(images, groups=np.array(["x", "y"])),
        replace(in_memory(images), info=replace(in_memory(images).info, class_names=("a", "c"))),
    )
    for other in others:
        assert fingerprint.fingerprint(other) != same
        told = difference(in_memory(images), other, tmp_path / "data.csv.gz")
        assert told == "the images or labels of train are others (2 examples)"
    assert not (tmp_path / "data.csv.gz").exists()


def test_drawn_images_are_known_by_the_version_of_what_draws_them(tmp_path, monkeypatch):
    options = {"size": 8, "train_examples": 6}
    before = load_examples("texture_shapes", "train", **options)
    part = before.subset([0, 1, 2])
    assert fingerprint.fingerprint(part) != fingerprint.fingerprint(before.subset([3, 4, 5]))
    monkeypatch.setattr(source, "GENERATOR_VERSION", "1.1.0")
    after = load_examples("texture_shapes", "train", **options)
    told = difference(before, after, tmp_path / "data.csv.gz")
    assert told == (
        "the images of train were drawn by texture_shapes 1.0.0, now texture_shapes 1.1.0"
    )
    drawn = load_examples("made_up", "train", examples=4)
    assert fingerprint.fingerprint(drawn)["drawn by"] == "made_up 1.0.0"


def test_records_are_known_by_the_files_that_hold_them(tmp_path):
    """And no label is read, which would read every record."""
    files = [tmp_path / f"imagenet2012-train.array_record-0000{k}-of-00002" for k in range(2)]
    for file in files:
        file.write_bytes(bytes(20))
    split = types.SimpleNamespace(filepaths=[str(file) for file in files])
    info = types.SimpleNamespace(full_name="imagenet2012/5.1.0", splits={"train": split})
    builder = types.SimpleNamespace(info=info)
    known = DatasetInfo("imagenet", "train", 3, 2, ("a", "b"), (None, None, 3))
    records = Records(builder, "train", np.arange(3), known)
    before = fingerprint.fingerprint(records)
    assert fingerprint.fingerprint(records.subset([0, 2])) != before
    fingerprint.write_listing(tmp_path / "data.csv.gz", {"train": records})
    listed = fingerprint.read_listing(tmp_path / "data.csv.gz")
    files[1].write_bytes(bytes(21))
    after = fingerprint.fingerprint(records)
    told = fingerprint.differences(
        {"train": before}, {"train": after}, listed, fingerprint.listed({"train": records})
    )
    assert told == f"1 file of train with another size ({files[1].name})"
