"""An image folder through `load`."""

import re

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from srm_keras import data

RNG = np.random.default_rng(0)


def write(path, height=12, width=16, image=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    image = RNG.integers(0, 256, (height, width, 3), dtype="uint8") if image is None else image
    Image.fromarray(image).save(path)
    return image


@pytest.fixture
def folder(tmp_path):
    for split, count in (("train", 6), ("test", 3)):
        for name in ("cat", "dog"):
            for k in range(count):
                write(tmp_path / split / name / f"{k}.png")
    return tmp_path


def test_pixels_and_labels_are_those_of_the_files(folder):
    images = {}
    for path in sorted((folder / "train").rglob("*.png")):
        images[np.asarray(Image.open(path)).tobytes()] = path.parent.name
    dataset, info = data.load("image_folder", "train", data_dir=folder)
    assert info == data.DatasetInfo("image_folder", "train", 12, 2, ("cat", "dog"), (12, 16, 3))
    assert dataset.element_spec[0].shape == (12, 16, 3)
    assert int(dataset.cardinality()) == 12
    read = {x.tobytes(): info.class_names[y] for x, y in dataset.as_numpy_iterator()}
    assert read == images
    assert data.load("image_folder", "test", data_dir=folder)[1].num_examples == 6


def test_the_order_is_the_same_every_time(folder):
    first, second = (
        list(data.load("image_folder", "train", data_dir=folder)[0].as_numpy_iterator())
        for _ in range(2)
    )
    for (x, y), (other_x, other_y) in zip(first, second, strict=True):
        np.testing.assert_array_equal(x, other_x)
        assert y == other_y


def test_images_of_several_sizes_and_kinds_become_one_batch(tmp_path):
    grey = np.arange(20 * 30, dtype="uint16").reshape(20, 30)
    write(tmp_path / "a" / "grey.png", image=(grey % 256).astype("uint8"))
    write(tmp_path / "a" / "deep.png", image=grey * 100)
    write(tmp_path / "b" / "rgba.png", image=RNG.integers(0, 256, (9, 9, 4), dtype="uint8"))
    Image.new("CMYK", (40, 14)).save(tmp_path / "b" / "cmyk.jpg")
    dataset, info = data.load("image_folder", "train", data_dir=tmp_path, test_fraction=0.5)
    assert info.image_shape == (None, None, 3)
    for training in (True, False):
        stream = data.batches(dataset, data.Preprocessing(8, resize=8), 2, training)
        images, _ = next(iter(stream))
        assert images.shape == (2, 8, 8, 3)


def corrupt(folder):
    whole = (folder / "train/dog/3.png").read_bytes()
    (folder / "train/dog/3.png").write_bytes(whole[:60])
    (folder / "train/cat/1.png").write_bytes(b"")
    return [folder / "train/dog/3.png", folder / "train/cat/1.png"]


def test_corrupt_files_are_all_named(folder):
    bad = corrupt(folder)
    with pytest.raises(ValueError, match="2 files that cannot be decoded") as error:
        data.load("image_folder", "train", data_dir=folder)
    for path in bad:
        assert str(path) in str(error.value)
    assert "on_error='skip'" in str(error.value)
    assert data.load("image_folder", "test", data_dir=folder)[1].num_examples == 6


def test_corrupt_files_are_skipped_with_a_warning(folder, caplog):
    bad = corrupt(folder)
    dataset, info = data.load("image_folder", "train", data_dir=folder, on_error="skip")
    assert info.num_examples == int(dataset.cardinality()) == 10
    for path in bad:
        assert str(path) in caplog.text
    stream = data.batches(dataset, data.Preprocessing(8), 5, training=True)
    assert len(list(stream.take(6))) == 6  # three epochs


def test_skipping_leaves_the_other_split_as_it_was(tmp_path):
    for name in ("cat", "dog"):
        for k in range(10):
            write(tmp_path / name / f"{k}.png")

    def contents(split):
        dataset, _ = data.load("image_folder", split, data_dir=tmp_path, on_error="skip")
        return [x.tobytes() for x, _ in dataset.as_numpy_iterator()]

    train, test = contents("train"), contents("test")
    victim = next(p for p in tmp_path.rglob("*.png") if _pixels(p) == train[3])
    victim.write_bytes(b"")
    assert contents("test") == test
    assert contents("train") == train[:3] + train[4:]


def _pixels(path):
    return np.asarray(Image.open(path)).tobytes()


def test_a_class_whose_files_are_all_corrupt(folder):
    for path in (folder / "train/dog").iterdir():
        path.write_bytes(b"")
    with pytest.raises(ValueError, match="classes whose files are all corrupt: dog"):
        data.load("image_folder", "train", data_dir=folder, on_error="skip")


def test_long_lists_are_cut(tmp_path):
    write(tmp_path / "a" / "good.png")
    for k in range(40):
        (tmp_path / "a" / f"{k:02d}.jpg").write_bytes(b"")
    with pytest.raises(ValueError, match=r"… and \d+ more"):
        data.load("image_folder", "train", data_dir=tmp_path)


def test_names_of_any_script(tmp_path):
    for k in range(4):
        write(tmp_path / "größe 大" / f"ü {k}.png")
    splits = [data.load("image_folder", split, data_dir=tmp_path) for split in ("train", "test")]
    for dataset, info in splits:
        assert info.class_names == ("größe 大",)
        assert len(list(dataset)) == info.num_examples
    assert sum(info.num_examples for _, info in splits) == 4


def test_any_example_can_be_read_by_position(folder):
    dataset, _ = data.load("image_folder", "train", data_dir=folder)
    for position, (image, label) in enumerate(dataset):
        other = tf.data.experimental.at(dataset, position)
        np.testing.assert_array_equal(image, other[0])
        assert label == other[1]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"on_error": "ignore"}, "`on_error` must be one of ['raise', 'skip']"),
        ({"test_fraction": 0}, "`test_fraction` must lie between 0 and 1"),
        ({"test_fraction": 1.0}, "`test_fraction` must lie between 0 and 1"),
        ({"test_fraction": 2}, "`test_fraction` must be a number in [0, 1]"),
        ({"test_fraction": 0.2}, "`test_fraction` must be left out where there are split folders"),
        ({"seed": "0"}, "`seed` must be an integer in [0, 2**63)"),
    ],
)
def test_bad_options(folder, options, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        data.load("image_folder", "train", data_dir=folder, **options)
