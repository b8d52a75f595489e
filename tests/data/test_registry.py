"""`load` and its errors."""

import re

import pytest

from srm_keras import data


def test_public_names():
    for name in ("load", "image_folder", "texture_shapes", "batches", "Preprocessing"):
        assert hasattr(data, name)
    assert set(data.SOURCES) == {"fashion_mnist", "image_folder", "texture_shapes"}


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
