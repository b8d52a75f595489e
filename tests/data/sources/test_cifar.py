"""CIFAR from a tiny archive, and from a tiny TFDS folder."""

import re

import numpy as np
import pytest

from srm_keras import data
from tests.support.tfds_sets import prepare

RNG = np.random.default_rng(0)


def draw(count, classes):
    images = RNG.integers(0, 256, (count, 32, 32, 3), dtype="uint8")
    return images, RNG.integers(0, classes, count)


def record(image, *labels):
    """The archive's format, written byte by byte: labels, then each colour row by row."""
    planes = [image[row, column, c] for c in range(3) for row in range(32) for column in range(32)]
    return bytes([*labels, *planes])


@pytest.fixture
def cifar10(tmp_path):
    folder = tmp_path / "cifar-10-batches-bin"
    folder.mkdir()
    images, labels = draw(12, 10)
    parts = {f"data_batch_{k + 1}.bin": range(2 * k, 2 * k + 2) for k in range(5)}
    for name, members in {**parts, "test_batch.bin": range(10, 12)}.items():
        (folder / name).write_bytes(b"".join(record(images[k], labels[k]) for k in members))
    names = "\n".join(f"name{k}" for k in range(10)) + "\n\n"
    (folder / "batches.meta.txt").write_text(names)
    return tmp_path, images, labels


def test_cifar10_archive(cifar10):
    root, images, labels = cifar10
    for split, part in (("train", slice(0, 10)), ("test", slice(10, 12))):
        examples = data.load_examples("cifar10", split, data_dir=root)
        np.testing.assert_array_equal(examples.images, images[part])
        np.testing.assert_array_equal(examples.labels, labels[part])
        assert examples.info.class_names == tuple(f"name{k}" for k in range(10))
        assert (examples.info.name, examples.info.image_shape) == ("cifar10", (32, 32, 3))


def test_cifar100_archive_has_the_fine_labels(tmp_path):
    folder = tmp_path / "cifar-100-binary"
    folder.mkdir()
    images, labels = draw(4, 100)
    for name in ("train.bin", "test.bin"):
        rows = [record(image, 7, label) for image, label in zip(images, labels, strict=True)]
        (folder / name).write_bytes(b"".join(rows))
    (folder / "fine_label_names.txt").write_text("\n".join(f"fine{k}" for k in range(100)))
    examples = data.load_examples("cifar100", "train", data_dir=tmp_path)
    np.testing.assert_array_equal(examples.images, images)
    np.testing.assert_array_equal(examples.labels, labels)
    assert examples.info.num_classes == 100


def test_tfds_in_its_own_order(tmp_path):
    images, labels = draw(20, 3)
    splits = {"train": (images, labels), "test": (images[:4], labels[:4])}
    prepare("cifar10", "3.0.2", tmp_path, splits, ["a", "b", "c"])
    first, second = (data.load_examples("cifar10", "train", data_dir=tmp_path) for _ in range(2))
    np.testing.assert_array_equal(first.images, second.images)
    expected = {image.tobytes(): label for image, label in zip(images, labels, strict=True)}
    read = zip(first.images, first.labels, strict=True)
    assert {image.tobytes(): label for image, label in read} == expected
    assert first.info.class_names == ("a", "b", "c")
    assert len(data.load_examples("cifar10", "test", data_dir=tmp_path)) == 4


@pytest.mark.parametrize("name", ["cifar10", "cifar100"])
def test_missing_data_says_where_to_get_it(tmp_path, name, monkeypatch):
    with pytest.raises(ValueError, match=f"{name} is not in `data_dir`") as error:
        data.load(name, "train", data_dir=tmp_path)
    for part in ("www.cs.toronto.edu/~kriz/cifar-10", "download_and_prepare()", str(tmp_path)):
        assert part in str(error.value)
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "elsewhere"))
    with pytest.raises(ValueError, match="elsewhere"):
        data.load(name, "train")


def test_damaged_archives(cifar10):
    root, _, _ = cifar10
    folder = root / "cifar-10-batches-bin"
    batch = folder / "data_batch_3.bin"
    batch.write_bytes(batch.read_bytes()[:-1])
    message = re.escape(f"{batch} must hold records of 3073 bytes. Received: 6145 bytes")
    with pytest.raises(ValueError, match=message):
        data.load("cifar10", "train", data_dir=root)
    batch.unlink()
    with pytest.raises(ValueError, match=r"lacks data_batch_3.bin. Extract https://"):
        data.load("cifar10", "train", data_dir=root)
    (folder / "batches.meta.txt").write_text("one two")
    with pytest.raises(ValueError, match="must hold 10 classes"):
        data.load("cifar10", "test", data_dir=root)
