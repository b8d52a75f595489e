"""`load` and its errors."""

import pathlib
import re
import subprocess
import sys

import numpy as np
import pytest

from srm_keras import data

ROOT = pathlib.Path(__file__).parents[2]


def test_public_names():
    for name in data.__all__:
        assert getattr(data, name) is not None
    assert set(data.SOURCES) == {
        "cifar10",
        "cifar100",
        "dtd",
        "fashion_mnist",
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


def test_in_memory_sources_and_folds_need_no_tensorflow():
    code = """
import sys

class NoTensorFlow:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("tensorflow", "tensorflow_datasets"):
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, NoTensorFlow())
from srm_keras import data

examples = data.load_examples("texture_shapes", "test", test_examples=40, size=8)
print(len(examples.subset(data.k_folds(examples, 5)[0][1])))
"""
    pytest.importorskip("jax")
    environment = {"KERAS_BACKEND": "jax", "PATH": "", "PYTHONPATH": str(ROOT)}
    result = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "8"


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
