"""texture_shapes through `load`."""

import re

import numpy as np
import pytest

from srm_keras import data
from srm_keras.data import texture_shapes
from srm_keras.data.texture_shapes import source

SMALL = {"train_examples": 110, "test_examples": 40}


@pytest.mark.parametrize("split", texture_shapes.SPLITS)
def test_examples_are_the_generators(split, monkeypatch):
    monkeypatch.setattr(source, "_CHUNK", 50)
    dataset, info = data.load("texture_shapes", split, seed=5, cue_correlation=0.7, **SMALL)
    count = 110 if split == "train" else 40
    drawn = texture_shapes.examples(5, split, np.arange(count), 32, 0.7)
    images, labels = zip(*dataset.as_numpy_iterator(), strict=True)
    np.testing.assert_array_equal(images, drawn.images)
    np.testing.assert_array_equal(labels, drawn.shapes)
    assert info == data.DatasetInfo(
        "texture_shapes", split, count, 10, texture_shapes.SHAPE_NAMES, (32, 32, 3)
    )


def test_texture_labels():
    dataset, info = data.load("texture_shapes", "test", label="texture", size=16, **SMALL)
    drawn = texture_shapes.examples(0, "test", np.arange(40), 16)
    np.testing.assert_array_equal([y for _, y in dataset.as_numpy_iterator()], drawn.textures)
    assert info.class_names == texture_shapes.SEEN_TEXTURE_NAMES
    assert dataset.element_spec[0].shape == info.image_shape == (16, 16, 3)


@pytest.mark.parametrize(
    ("split", "options", "message"),
    [
        ("test", {"label": "texure"}, "did you mean 'texture'"),
        ("test_unseen_style", {"label": "texture"}, "not among the classes"),
        ("validation", {}, "`split` must be one of"),
        ("train", {"train_examples": 0}, "`train_examples` must be a positive integer"),
        ("train", {"test_examples": 1.5}, "`test_examples` must be a positive integer"),
        ("train", {"size": 4096}, "more than 4 GiB of memory"),
    ],
)
def test_bad_options(split, options, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        data.load("texture_shapes", split, **options)


def test_domains_and_groups_are_the_texture_families():
    for split in ("train", "test_unseen_style"):
        examples = data.load_examples("texture_shapes", split, size=8, **SMALL)
        drawn = texture_shapes.examples(0, split, np.arange(len(examples)), 8)
        families = [texture_shapes.TEXTURE_NAMES[k] for k in drawn.textures]
        assert examples.domains.tolist() == examples.groups.tolist() == families
