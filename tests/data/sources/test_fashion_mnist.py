"""Fashion-MNIST from files that the test writes, and from the real ones where they are."""

import gzip
import re

import numpy as np
import pytest

from srm_keras import data
from srm_keras.data.sources import fashion_mnist

RNG = np.random.default_rng(0)


def write(folder, prefix, images, labels):
    for name, values in ((f"{prefix}-images-idx3", images), (f"{prefix}-labels-idx1", labels)):
        header = bytes([0, 0, 8, values.ndim]) + np.array(values.shape, ">u4").tobytes()
        path = folder / f"{name}-ubyte.gz"
        path.write_bytes(gzip.compress(header + values.astype("uint8").tobytes()))


@pytest.mark.parametrize(("split", "prefix"), [("train", "train"), ("test", "t10k")])
def test_examples_are_those_of_the_files(tmp_path, split, prefix):
    images = RNG.integers(0, 256, (30, 28, 28), dtype="uint8")
    labels = np.arange(30) % 10
    write(tmp_path, prefix, images, labels)
    dataset, info = data.load("fashion_mnist", split, data_dir=str(tmp_path))
    read_images, read_labels = zip(*dataset.as_numpy_iterator(), strict=True)
    np.testing.assert_array_equal(read_images, images[..., None])
    np.testing.assert_array_equal(read_labels, labels)
    assert read_labels[0].dtype == np.int32
    assert (info.name, info.split, info.num_examples) == ("fashion_mnist", split, 30)
    assert (info.num_classes, info.image_shape) == (10, (28, 28, 1))
    assert info.class_names[9] == "ankle_boot"


def test_missing_files_name_the_package_and_the_folder(tmp_path, monkeypatch):
    with pytest.raises(ValueError, match="apt-get install dataset-fashion-mnist") as error:
        data.load("fashion_mnist", "train", data_dir=tmp_path)
    assert str(tmp_path) in str(error.value)
    assert "/usr/share/datasets/fashion-mnist" in str(error.value)
    monkeypatch.setattr(fashion_mnist, "DEBIAN_FOLDER", tmp_path / "debian")
    monkeypatch.setattr(fashion_mnist, "KERAS_FOLDER", tmp_path / "keras")
    with pytest.raises(ValueError, match="apt-get install dataset-fashion-mnist"):
        data.load("fashion_mnist", "train")


def test_the_keras_folder_is_found_too(tmp_path, monkeypatch):
    monkeypatch.setattr(fashion_mnist, "DEBIAN_FOLDER", tmp_path / "debian")
    monkeypatch.setattr(fashion_mnist, "KERAS_FOLDER", tmp_path)
    write(tmp_path, "t10k", np.zeros((3, 28, 28)), np.zeros(3))
    assert data.load("fashion_mnist", "test")[1].num_examples == 3


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (np.zeros((2, 28, 27)), np.zeros(2), "must hold images of 28×28. Received: (28, 27)"),
        (np.zeros((2, 28, 28)), np.zeros(3), "as many images as labels, at least one"),
        (np.zeros((0, 28, 28)), np.zeros(0), "as many images as labels, at least one"),
        (np.zeros((2, 28, 28)), np.array([0, 10]), "must hold labels 0 … 9. Received: 10"),
    ],
)
def test_files_that_do_not_fit(tmp_path, images, labels, message):
    write(tmp_path, "train", images, labels)
    with pytest.raises(ValueError, match=re.escape(message)):
        data.load("fashion_mnist", "train", data_dir=tmp_path)


@pytest.mark.parametrize(("split", "count"), [("train", 60_000), ("test", 10_000)])
def test_the_real_files(split, count):
    if not fashion_mnist.DEBIAN_FOLDER.is_dir():
        pytest.skip("the Debian package dataset-fashion-mnist is not installed")
    dataset, info = data.load("fashion_mnist", split)
    assert info.num_examples == count
    labels = np.concatenate([y for _, y in dataset.batch(10_000).as_numpy_iterator()])
    assert np.bincount(labels).tolist() == [count // 10] * 10
