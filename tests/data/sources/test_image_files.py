"""Unlabelled images: any folder, and MS-COCO in its two forms."""

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds
from PIL import Image

from srm_keras import data

RNG = np.random.default_rng(0)


def write(folder, count, suffix="jpg"):
    folder.mkdir(parents=True)
    for k in range(count):
        pixels = RNG.integers(0, 256, (8 + k, 9, 3), dtype="uint8")
        Image.fromarray(pixels).save(folder / f"{k}.{suffix}")


def names(examples, root):
    return {path.relative_to(root).as_posix() for path in examples.images}


def test_the_splits_of_a_folder_are_parts_of_it(tmp_path):
    write(tmp_path / "a", 6)
    write(tmp_path / "b" / "c", 4, "png")
    (tmp_path / "a" / "notes.txt").write_text("no image")
    options = {"data_dir": tmp_path, "test_fraction": 0.3}
    splits = {s: data.load_examples("image_files", s, **options) for s in ("train", "test", "all")}
    found = {split: names(examples, tmp_path) for split, examples in splits.items()}
    assert found["train"]
    assert found["test"]
    assert not found["train"] & found["test"]
    assert found["train"] | found["test"] == found["all"]
    assert found["all"] == {f"a/{k}.jpg" for k in range(6)} | {f"b/c/{k}.png" for k in range(4)}
    assert splits["all"].info == data.DatasetInfo(
        "image_files", "all", 10, 1, ("image",), (None, None, 3)
    )
    for k in range(12):
        write(tmp_path / f"new_{k}", 1)
        after = names(data.load_examples("image_files", "test", **options), tmp_path)
        assert {name for name in after if "new" not in name} == found["test"]
    other = data.load_examples("image_files", "test", seed=1, **options)
    assert names(other, tmp_path) != found["test"]


def test_what_is_refused(tmp_path):
    with pytest.raises(ValueError, match="no image was found"):
        data.load_examples("image_files", "train", data_dir=tmp_path)
    write(tmp_path / "one", 1)
    with pytest.raises(ValueError, match="must hold more images: none of 1 falls into the split"):
        data.load_examples("image_files", "test", data_dir=tmp_path, test_fraction=1e-9)
    assert len(data.load_examples("image_files", "all", data_dir=tmp_path)) == 1
    (tmp_path / "one" / "bad.jpg").write_bytes(b"")
    with pytest.raises(ValueError, match=r"bad\.jpg"):
        data.load_examples("image_files", "all", data_dir=tmp_path)
    assert len(data.load_examples("image_files", "all", data_dir=tmp_path, on_error="skip")) == 1
    with pytest.raises(ValueError, match="`test_fraction` must lie between 0 and 1"):
        data.load_examples("image_files", "all", data_dir=tmp_path, test_fraction=1)


def test_coco_in_folders(tmp_path):
    write(tmp_path / "train2017", 3)
    write(tmp_path / "val2017", 2)
    for split, folder, count in (("train", "train2017", 3), ("val", "val2017", 2)):
        examples = data.load_examples("coco", split, data_dir=tmp_path)
        assert names(examples, tmp_path) == {f"{folder}/{k}.jpg" for k in range(count)}


def test_coco_from_tfds(tmp_path):
    """A set with the name and the features of TFDS' own; its records are read by position."""
    images = [RNG.integers(0, 256, (8 + k, 9, 3), dtype="uint8") for k in range(3)]

    class Coco(tfds.core.GeneratorBasedBuilder, skip_registration=True):
        name = "coco"
        VERSION = tfds.core.Version("1.1.0")
        BUILDER_CONFIGS = (tfds.core.BuilderConfig(name="2017"),)
        pkg_dir_path = tmp_path

        def _info(self):
            image = tfds.features.Image(shape=(None, None, 3), encoding_format="png")
            objects = tfds.features.Sequence({"label": tfds.features.ClassLabel(num_classes=80)})
            features = tfds.features.FeaturesDict({"image": image, "objects": objects})
            return tfds.core.DatasetInfo(builder=self, features=features)

        def _split_generators(self, dl_manager):
            return {"train": self._generate_examples(), "validation": self._generate_examples()}

        def _generate_examples(self):
            for k, image in enumerate(images):
                yield k, {"image": image, "objects": []}

    with pytest.raises(ValueError, match=r"file_format='array_record'"):
        data.load_examples("coco", "train", data_dir=tmp_path)
    Coco(data_dir=tmp_path, file_format="array_record").download_and_prepare()
    examples = data.load_examples("coco", "val", data_dir=tmp_path)
    assert len(examples) == 3
    np.testing.assert_array_equal(examples.labels, [0, 0, 0])
    read = {image.numpy().tobytes() for image, _ in examples.dataset()}
    assert read == {image.tobytes() for image in images}
    image, label = tf.data.experimental.at(examples.subset([2]).dataset(), 0)
    assert image.shape[0] in (8, 9, 10)
    assert label == 0
