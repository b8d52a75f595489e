"""DTD from an archive of a few images."""

import re

import numpy as np
import pytest
from PIL import Image

from srm_keras import data

CLASSES = ("banded", "zigzagged")
PARTS = ("train", "val", "test")


@pytest.fixture
def archive(tmp_path):
    """Six images a class; in fold f image k belongs to part (k + f) % 3."""
    rng = np.random.default_rng(0)
    names = [f"{name}/{name}_{k:04d}.jpg" for name in CLASSES for k in range(6)]
    for name in names:
        path = tmp_path / "images" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (9, 7, 3), dtype="uint8")).save(path)
    (tmp_path / "labels").mkdir()
    for fold in range(1, 11):
        for part in range(3):
            members = [n for k, n in enumerate(names) if (k + fold) % 3 == part]
            text = "".join(f"{name}\n" for name in members)
            (tmp_path / "labels" / f"{PARTS[part]}{fold}.txt").write_text(text)
    return tmp_path


@pytest.mark.parametrize("fold", [1, 2, 10])
def test_parts_of_a_fold(archive, fold):
    seen = {}
    for split in (*PARTS, "trainval", "all"):
        examples = data.load_examples("dtd", split, data_dir=archive, fold=fold)
        seen[split] = {path.relative_to(archive / "images").as_posix() for path in examples.images}
        assert examples.info.class_names == CLASSES
        assert examples.info.image_shape == (9, 7, 3)
        for path, label in zip(examples.images, examples.labels, strict=True):
            assert path.parent.name == CLASSES[label]
    for part in PARTS:
        assert seen[part] == set((archive / f"labels/{part}{fold}.txt").read_text().split())
    assert seen["trainval"] == seen["train"] | seen["val"]
    assert len(seen["all"]) == 12


def test_folds_differ_and_the_whole_does_not(archive):
    first, second = (
        data.load_examples("dtd", "test", data_dir=archive, fold=fold).images for fold in (1, 2)
    )
    assert not set(first) & set(second)
    whole = [data.load_examples("dtd", "all", data_dir=archive, fold=f).images for f in (1, 2)]
    assert whole[0] == whole[1]


def test_errors(archive, tmp_path):
    for options in ({}, {"data_dir": tmp_path / "none"}):
        with pytest.raises(ValueError, match="must be DTD's folder `dtd`") as error:
            data.load("dtd", "train", **options)
        assert "https://www.robots.ox.ac.uk/~vgg/data/dtd" in str(error.value)
    with pytest.raises(ValueError, match=r"`fold` must be one of .* Received: fold=11"):
        data.load("dtd", "train", data_dir=archive, fold=11)
    (archive / "images/banded/banded_0000.jpg").unlink()
    with pytest.raises(ValueError, match=re.escape("lacks 1 of the images it lists")):
        data.load("dtd", "all", data_dir=archive)
    (archive / "labels/val3.txt").unlink()
    with pytest.raises(ValueError, match=r"val3.txt is missing. Extract https://"):
        data.load("dtd", "val", data_dir=archive, fold=3)
