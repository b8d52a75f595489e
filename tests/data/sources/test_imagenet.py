"""ImageNet and Stylized-ImageNet in folders and TFDS sets of a few images."""

import re
from unittest import mock

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from srm_keras import data
from srm_keras.data.sources.prepared import Records
from tests.support.tfds_sets import prepare

RNG = np.random.default_rng(0)
WNIDS = ("n01440764", "n01443537", "n02999410")


def write_folders(root, wnids=WNIDS, counts=(("train", 4), ("val", 2)), suffix="JPEG"):
    for split, count in counts:
        for wnid in wnids:
            (root / split / wnid).mkdir(parents=True)
            for k in range(count):
                pixels = RNG.integers(0, 256, (10 + k, 12, 3), dtype="uint8")
                Image.fromarray(pixels).save(
                    root / split / wnid / f"{wnid}_{k}.{suffix}", "jpeg", quality=95, subsampling=0
                )
    return root


def draw(count):
    images = [RNG.integers(0, 256, (10 + k, 12, 3), dtype="uint8") for k in range(count)]
    return images, np.arange(count) % 3


def test_class_folders(tmp_path):
    write_folders(tmp_path)
    for split, count in (("train", 12), ("val", 6)):
        examples = data.load_examples("imagenet", split, data_dir=tmp_path)
        info = examples.info
        assert info == data.DatasetInfo("imagenet", split, count, 3, WNIDS, (None, None, 3))
        for path, label in zip(examples.images, examples.labels, strict=True):
            assert path.parent.name == WNIDS[label]
        image, label = next(iter(examples.dataset()))
        pixels = np.asarray(Image.open(examples.images[0]))
        np.testing.assert_allclose(image.numpy().astype(int), pixels, atol=12)
        assert label == examples.labels[0]


def test_files_are_not_decoded_before_they_are_needed(tmp_path):
    write_folders(tmp_path)
    bad = tmp_path / "train" / WNIDS[1] / f"{WNIDS[1]}_2.JPEG"
    bad.write_bytes(b"")
    examples = data.load_examples("imagenet", "train", data_dir=tmp_path)
    assert bad in examples.images
    dataset = examples.dataset()
    for position, path in enumerate(examples.images):
        if path != bad:
            tf.data.experimental.at(dataset, position)


def test_tfds_records_are_read_by_position(tmp_path):
    images, labels = draw(9)
    splits = {"train": (images, labels), "validation": (images[:2], labels[:2])}
    args = ("imagenet2012", "5.1.0", tmp_path, splits, list(WNIDS))
    prepare(*args, file_format="array_record")
    dataset, info = data.load("imagenet", "train", data_dir=tmp_path)
    assert info == data.DatasetInfo("imagenet", "train", 9, 3, WNIDS, (None, None, 3))
    assert int(dataset.cardinality()) == 9
    pairs = list(dataset.as_numpy_iterator())
    written = {image.tobytes(): label for image, label in zip(images, labels, strict=True)}
    assert {image.tobytes(): label for image, label in pairs} == written
    assert pairs[0][1].dtype == np.int32
    for position in (7, 2):
        image, label = tf.data.experimental.at(dataset, position)
        np.testing.assert_array_equal(image, pairs[position][0])
        assert label == pairs[position][1]
    assert data.load("imagenet", "val", data_dir=tmp_path)[1].num_examples == 2
    batches = data.batches(dataset, data.Preprocessing(8), 3, training=True, seed=1)
    first = [labels.numpy().tolist() for _, labels in batches.take(3)]
    assert sorted(np.concatenate(first)) == sorted(labels.tolist())
    check_records(data.load_examples("imagenet", "train", data_dir=tmp_path), pairs)


def check_records(records, pairs):
    """Records do what `Examples` do."""
    assert records.labels.dtype == np.int32
    assert records.labels.tolist() == [label for _, label in pairs]
    assert (len(records), records.in_memory, records.groups) == (9, False, None)
    for train, held_out in data.k_folds(records, 3):
        assert len(np.union1d(train, held_out)) == 9
    subset = records.subset([4, 1])
    with mock.patch.object(Records, "_source", side_effect=AssertionError("labels were read")):
        assert subset.labels.tolist() == [pairs[4][1], pairs[1][1]]
    assert subset.info.num_examples == len(subset) == 2
    for (image, label), position in zip(subset.dataset(), (4, 1), strict=True):
        np.testing.assert_array_equal(image, pairs[position][0])
        assert label == pairs[position][1] == subset.labels[(4, 1).index(position)]
    for content, _ in subset.encoded():
        assert content.numpy()[1:4] == b"PNG"
    with pytest.raises(ValueError, match=r"`positions` must lie in \[0, 9\)"):
        records.subset([9])


@pytest.mark.parametrize("label", [-1, 3, 2**32, 0.5, [1, 0, 0]], ids=str)
def test_records_whose_label_is_no_class_are_refused(label):
    class Builder:
        def as_data_source(self, split, decoders):
            return [{"image": b"", "label": np.int64(1)}, {"image": b"", "label": np.array(label)}]

    info = data.DatasetInfo("imagenet", "train", 2, 3, WNIDS, (None, None, 3))
    records = Records(Builder(), "train", np.arange(2), info)
    shown = re.escape(str(label).strip("[]"))
    with pytest.raises(ValueError, match=rf"`labels` must .*{shown}"):
        print(records.labels)
    (_, first), *_ = records.subset([0]).encoded()
    assert first == 1
    with pytest.raises(tf.errors.InvalidArgumentError, match="`labels` must"):
        list(records.encoded())


def test_batches_of_records_begin_at_any_step(tmp_path):
    splits = {split: draw(9) for split in ("train", "validation")}
    options = {"file_format": "array_record", "encoding": "jpeg"}
    prepare("imagenet2012", "5.1.0", tmp_path, splits, list(WNIDS), **options)
    records = data.load_examples("imagenet", "train", data_dir=tmp_path)
    preprocessing = data.Preprocessing(8, crop_scale=(0.2, 1.0), flip=True)
    stream = data.batches(records, preprocessing, 3, training=True, seed=1)
    late = data.batches(records, preprocessing, 3, training=True, seed=1, start_step=4)
    for (x, y), (other_x, other_y) in zip(stream.skip(4).take(3), late.take(3), strict=True):
        np.testing.assert_array_equal(x, other_x)
        np.testing.assert_array_equal(y, other_y)


def test_tfds_in_a_format_without_positions(tmp_path):
    splits = {"train": draw(2), "validation": draw(2)}
    prepare("imagenet2012", "5.1.0", tmp_path, splits, list(WNIDS))
    with pytest.raises(ValueError, match="must have the format array_record") as error:
        data.load("imagenet", "train", data_dir=tmp_path)
    assert "tfds convert_format" in str(error.value)


def test_missing_imagenet(tmp_path):
    with pytest.raises(ValueError, match="ImageNet is not in `data_dir`") as error:
        data.load("imagenet", "train", data_dir=tmp_path)
    for part in ("image-net.org", "ILSVRC2012_img_train.tar", f"{tmp_path}/train/<wnid>/"):
        assert part in str(error.value)
    with pytest.raises(ValueError, match=re.escape("`split` must be one of ['train', 'val']")):
        data.load("imagenet", "test", data_dir=tmp_path)


@pytest.fixture
def both(tmp_path):
    options = {
        "data_dir": write_folders(tmp_path / "stylized", suffix="png"),
        "imagenet_dir": write_folders(tmp_path / "photographs", counts=(("train", 1), ("val", 3))),
    }
    return options


def test_stylized_imagenet(both):
    for split, count in (("train", 12), ("val", 6), ("imagenet_val", 9)):
        examples = data.load_examples("stylized_imagenet", split, **both)
        info = examples.info
        assert (info.name, info.split, len(examples)) == ("stylized_imagenet", split, count)
        assert info.class_names == WNIDS
        root = both["imagenet_dir" if split == "imagenet_val" else "data_dir"]
        folder = root / split.removeprefix("imagenet_")
        assert set(examples.images) == set(folder.rglob("*.*"))


def test_stylized_imagenet_needs_its_folders(both, tmp_path):
    with pytest.raises(ValueError, match=r"github.com/rgeirhos/Stylized-ImageNet"):
        data.load("stylized_imagenet", "train", data_dir=tmp_path / "none")
    with pytest.raises(ValueError, match="Received: data_dir=None"):
        data.load("stylized_imagenet", "train")
    with pytest.raises(ValueError, match=r"`imagenet_dir` must be the folder of ImageNet"):
        data.load("stylized_imagenet", "imagenet_val", data_dir=both["data_dir"])
    (both["imagenet_dir"] / "val" / WNIDS[0]).rename(both["imagenet_dir"] / "val" / "n09")
    (both["imagenet_dir"] / "train" / WNIDS[0]).rename(both["imagenet_dir"] / "train" / "n09")
    with pytest.raises(ValueError, match="Received: 2 class folders that only one of them has"):
        data.load("stylized_imagenet", "imagenet_val", **both)
