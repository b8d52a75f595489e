"""`load` and its errors."""

import re

import numpy as np
import pytest

from srm_keras import data


def test_public_names():
    for name in data.__all__:
        assert getattr(data, name) is not None
    assert set(data.SOURCES) == {
        "cifar10",
        "cifar100",
        "coco",
        "dtd",
        "fashion_mnist",
        "image_files",
        "image_folder",
        "imagenet",
        "made_up",
        "npz",
        "office_home",
        "stylized_imagenet",
        "texture_shapes",
    }


def test_a_name_that_is_not_there():
    with pytest.raises(AttributeError, match="has no attribute 'bachtes'"):
        _ = data.bachtes


def test_load_is_the_dataset_of_load_examples():
    options = {"image_shape": 5, "examples": 7, "seed": 3}
    examples = data.load_examples("made_up", "train", **options)
    dataset, info = data.load("made_up", "train", **options)
    images, labels = zip(*dataset.as_numpy_iterator(), strict=True)
    np.testing.assert_array_equal(images, examples.images)
    np.testing.assert_array_equal(labels, examples.labels)
    assert info == examples.info


@pytest.mark.parametrize(
    ("name", "split", "options", "message"),
    [
        ("texture_shape", "train", {}, "`name` must be one of"),
        ("texture_shape", "train", {}, "did you mean 'texture_shapes'?"),
        ("texture_shapes", "tset", {}, "did you mean 'test'?"),
        ("texture_shapes", "tset", {}, "`split` must be one of"),
        ("fashion_mnist", "validation", {}, "`split` must be one of"),
        ("texture_shapes", "train", {"sise": 8}, "'texture_shapes' has no option 'sise'"),
        ("texture_shapes", "train", {"sise": 8}, "did you mean 'size'?"),
        ("fashion_mnist", "train", {"data_dirs": "x"}, "did you mean 'data_dir'?"),
        ("fashion_mnist", "train", {"data_dir": 3}, "`data_dir` must be a path"),
        ("image_folder", "train", {}, "'image_folder' needs the option `data_dir`"),
        ("image_folder", "train", {"data_dir": None}, "`data_dir` must be a path"),
    ],
)
def test_errors(name, split, options, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        data.load(name, split, **options)


def test_splits_are_known_without_data_as_the_sources_know_them(tmp_path):
    """A wrong split is told in the source's own words, and those it names pass."""
    of_folder = tmp_path / "folder"
    for split in ("train", "val"):
        (of_folder / split / "a").mkdir(parents=True)
    options = {
        "image_folder": {"data_dir": of_folder},
        "image_files": {"data_dir": of_folder},
        "npz": {"path": tmp_path / "no.npz"},
    }
    for name in data.SOURCES.keys() - {"made_up"}:
        given = options.get(name, {})
        with pytest.raises(ValueError, match="`split` must be one of") as early:
            data.check_source(name, ["trian"], given)
        with pytest.raises(ValueError, match="`split` must be one of") as late:
            data.load_examples(name, "trian", **given)
        assert str(early.value) == str(late.value).replace("dict_keys", ""), name
        known = re.findall(r"'(\w+)'", str(early.value).split("Received")[0])
        data.check_source(name, known, given)
    data.check_source("made_up", ["anything"], {})
    with pytest.raises(ValueError, match="`split` must be one of"):
        data.check_source("texture_shapes", ["test_unseen_style"], {"label": "texture"})
