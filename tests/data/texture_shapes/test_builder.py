"""The TFDS builder, prepared in a temporary folder."""

import numpy as np
import pytest
import tensorflow_datasets as tfds

from srm_keras.data import texture_shapes
from srm_keras.data.texture_shapes.builder import TextureShapes, TextureShapesConfig, prepare

TINY = {"size": 16, "seed": 2, "cue_correlation": 0.4, "train_examples": 300, "test_examples": 20}


@pytest.mark.parametrize("label", ["shape", "texture"])
def test_examples_equal_the_generators(tmp_path, label):
    config = TextureShapesConfig(label=label, **TINY)
    loaded, info = tfds.load(
        "texture_shapes",
        data_dir=tmp_path,
        builder_kwargs={"config": config},
        with_info=True,
        shuffle_files=False,
    )
    splits = set(texture_shapes.SPLITS)
    assert set(loaded) == (splits if label == "shape" else splits - {"test_unseen_style"})
    for split, dataset in loaded.items():
        count = 300 if split == "train" else 20
        assert info.splits[split].num_examples == count
        drawn = texture_shapes.examples(2, split, np.arange(count), 16, 0.4)
        seen = set()
        for example in dataset.as_numpy_iterator():
            index = int(example["index"])
            seen.add(index)
            np.testing.assert_array_equal(example["image"], drawn.images[index])
            assert example["shape"] == drawn.shapes[index]
            assert example["texture"] == drawn.textures[index]
            assert example["label"] == example[label]
        assert seen == set(range(count))
    assert info.features["shape"].names == list(texture_shapes.SHAPE_NAMES)


def test_prepare_returns_the_folder_and_does_nothing_twice(tmp_path):
    options = {"train_examples": 5, "test_examples": 5}
    folder = prepare(tmp_path, **options)
    before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    assert prepare(tmp_path, **options) == folder
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == before
    supervised = tfds.builder_from_directory(folder).as_dataset("test", as_supervised=True)
    assert len(list(supervised)) == 5


def test_configs_have_names_of_their_own():
    names = set(TextureShapes.builder_configs)
    assert names == {"shape_32", "texture_32", "shape_64", "texture_64"}
    assert TextureShapesConfig().name == "shape_32"
    assert TextureShapesConfig(seed=1).name == "shape_32_seed_1"
    assert TextureShapesConfig(cue_correlation=0.9).name == "shape_32_cue_correlation_0.9"


@pytest.mark.parametrize(
    "options", [{"label": "style"}, {"size": 4}, {"seed": -1}, {"train_examples": 0}]
)
def test_bad_options(options):
    (name,) = options
    with pytest.raises(ValueError, match=f"`{name}` must be"):
        TextureShapesConfig(**options)
