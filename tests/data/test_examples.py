"""`Examples`: its checks, its subsets and its `tf.data.Dataset`."""

import re
from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from srm_keras.data import DatasetInfo, Examples

RNG = np.random.default_rng(0)
COUNT = 6


def in_memory(**changes):
    parts = {
        "images": RNG.integers(0, 256, (COUNT, 4, 5, 3), dtype="uint8"),
        "labels": np.array([0, 1, 2, 0, 1, 2], "int32"),
        "info": DatasetInfo("mine", "train", COUNT, 3, ("a", "b", "c"), (4, 5, 3)),
        "domains": np.array(list("xxxyyy")),
        "groups": np.array(list("pqrstu")),
    }
    return Examples(**{**parts, **changes})


@pytest.fixture
def in_files(tmp_path):
    examples = in_memory()
    paths = tuple(tmp_path / f"{k}.png" for k in range(COUNT))
    for path, image in zip(paths, examples.images, strict=True):
        Image.fromarray(image).save(path)
    return examples, replace(examples, images=paths)


def read(examples):
    images, labels = zip(*examples.dataset().as_numpy_iterator(), strict=True)
    return np.stack(images), np.array(labels)


def test_files_and_arrays_give_the_same_dataset(in_files):
    array, files = in_files
    assert array.in_memory
    assert not files.in_memory
    for mine, other in zip(read(array), read(files), strict=True):
        np.testing.assert_array_equal(mine, other)
    assert array.dataset().element_spec == files.dataset().element_spec
    assert files.dataset().element_spec[0].shape == (4, 5, 3)


def test_both_can_be_read_by_position(in_files):
    for examples in in_files:
        image, label = tf.data.experimental.at(examples.dataset(), 4)
        np.testing.assert_array_equal(image, in_files[0].images[4])
        assert label == 1


def test_files_as_they_are(in_files):
    array, files = in_files
    for path, (content, _) in zip(files.images, files.encoded(), strict=True):
        assert content.numpy() == path.read_bytes()
    with pytest.raises(ValueError, match="`encoded` needs images in files"):
        array.encoded()


def test_a_subset_takes_every_part_along(in_files):
    positions = [5, 0, 3]
    for examples in in_files:
        subset = examples.subset(positions)
        assert len(subset) == subset.info.num_examples == 3
        np.testing.assert_array_equal(read(subset)[0], in_files[0].images[positions])
        np.testing.assert_array_equal(subset.labels, [2, 0, 0])
        assert subset.domains.tolist() == ["y", "x", "y"]
        assert subset.groups.tolist() == ["u", "p", "s"]
        assert replace(subset.info, num_examples=COUNT) == examples.info
    assert len(in_memory().subset([])) == 0
    assert in_memory(domains=None, groups=None).subset([1]).domains is None


@pytest.mark.parametrize(
    ("positions", "message"),
    [
        ([0, 6], "`positions` must lie in [0, 6). Received: 0 … 6"),
        ([-1], "`positions` must lie in [0, 6). Received: -1 … -1"),
        ([0.5], "`positions` must be a one-dimensional array of integers"),
        ([True] * 6, "`positions` must be a one-dimensional array of integers"),
        ([[0]], "`positions` must be a one-dimensional array of integers"),
    ],
)
def test_bad_positions(positions, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        in_memory().subset(positions)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"images": np.zeros((6, 4, 5, 3))}, "`images` must be a uint8 array (N, H, W, C)"),
        ({"images": np.zeros((6, 4, 5), "uint8")}, "`images` must be a uint8 array (N, H, W, C)"),
        ({"images": ["a.png"] * 6}, "or a tuple of paths. Received: list"),
        ({"labels": np.zeros(6)}, "`labels` must be an int32 array of rank 1"),
        ({"labels": np.full(6, 3, "int32")}, "`labels` must lie in 0 … 2. Received: 3 … 3"),
        ({"labels": np.full(6, -1, "int32")}, "`labels` must lie in 0 … 2. Received: -1 … -1"),
        ({"groups": np.array(["p"])}, "All parts must have info.num_examples=6 entries"),
        ({"images": np.zeros((5, 4, 5, 3), "uint8")}, "Received: {'images': 5, 'labels': 6"),
    ],
)
def test_parts_that_do_not_fit(changes, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        in_memory(**changes)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (("a", "b", "a"), "Received: 'a' for the classes 0, 2"),
        (("a", b"b", "c"), "Received: b'b', of type bytes"),
        (("a", 1, "c"), "Received: 1, of type int"),
        ("abc", "must be a list of names (str). Received: 'abc'"),
        (("a", "b"), "`class_names` must be one for each of 3 classes. Received: 2"),
    ],
)
def test_every_class_has_a_name_of_its_own(names, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        DatasetInfo("mine", "train", COUNT, 3, names, (4, 5, 3))
