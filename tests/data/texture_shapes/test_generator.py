"""The generator as a function of (seed, split, index)."""

import hashlib
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from srm_keras.data import texture_shapes

ALL = {split: texture_shapes.examples(0, split, np.arange(300)) for split in texture_shapes.SPLITS}


@given(
    st.integers(0, 2**63 - 1),
    st.sampled_from(texture_shapes.SPLITS),
    st.lists(st.integers(0, 2**31 - 1), min_size=1, max_size=5),
    st.integers(8, 40),
    st.floats(0, 1),
)
@settings(max_examples=15, deadline=None)
def test_each_image_depends_on_its_own_index_alone(seed, split, indices, size, p):
    drawn = texture_shapes.examples(seed, split, np.array(indices), size, p)
    assert drawn.images.shape == (len(indices), size, size, 3)
    assert drawn.images.dtype == np.uint8
    for position, index in enumerate(indices):
        alone = texture_shapes.example(seed, split, index, size, p)
        np.testing.assert_array_equal(drawn.images[position], alone.image)
        assert (drawn.shapes[position], drawn.textures[position]) == (alone.shape, alone.texture)


def test_order_and_grouping_change_no_byte():
    order = np.random.default_rng(0).permutation(300)
    shuffled = texture_shapes.examples(0, "train", order)
    for part, whole in zip(shuffled, ALL["train"], strict=True):
        np.testing.assert_array_equal(part, whole[order])


def test_every_image_differs():
    images = np.concatenate([drawn.images for drawn in ALL.values()])
    assert len(np.unique(images.reshape(len(images), -1), axis=0)) == 1200
    other = texture_shapes.examples(1, "train", np.arange(300)).images
    assert (other != ALL["train"].images).any(axis=(1, 2, 3)).all()


def test_images_use_the_range_without_clipping_much():
    for drawn in ALL.values():
        assert 90 < drawn.images.mean() < 165
        assert ((drawn.images == 0) | (drawn.images == 255)).mean() < 0.1
        assert (drawn.images.std(axis=(1, 2)).max(axis=1) > 8).all()


def test_the_scene_is_the_same_at_every_size():
    small = texture_shapes.examples(0, "test", np.arange(50), 16)
    large = texture_shapes.examples(0, "test", np.arange(50), 64)
    np.testing.assert_array_equal(small.shapes, large.shapes)
    shrunk = large.images.astype("float64").reshape(50, 16, 4, 16, 4, 3).mean(axis=(2, 4))
    for image, other in zip(small.images, shrunk, strict=True):
        assert np.corrcoef(image.ravel(), other.ravel())[0, 1] > 0.85


def test_unseen_styles_are_never_in_the_other_splits():
    for split, drawn in ALL.items():
        assert (drawn.textures >= 10).all() == (split == "test_unseen_style")
        assert (drawn.textures >= 10).any() == (split == "test_unseen_style")


def test_the_bytes_belong_to_the_version():
    """If this fails, images have changed: raise GENERATOR_VERSION and renew the digest."""
    digest = hashlib.sha256()
    for drawn in ALL.values():
        for part in drawn:
            digest.update(part.tobytes())
    assert texture_shapes.GENERATOR_VERSION == "1.0.0"
    assert digest.hexdigest()[:16] == "d0ca31835faeb56f"


def test_no_images():
    drawn = texture_shapes.examples(0, "train", np.array([], int))
    assert drawn.images.shape == (0, 32, 32, 3)
    assert len(drawn.shapes) == len(drawn.textures) == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seed": -1}, "`seed` must be an integer in [0, 2**63). Received: seed=-1"),
        ({"seed": 1.5}, "`seed` must be an integer in [0, 2**63). Received: seed=1.5"),
        ({"seed": 2**63}, "`seed` must be an integer"),
        ({"split": "trian"}, "did you mean 'train'"),
        ({"size": 7}, "`size` must be at least 8 pixels. Received: size=7"),
        ({"size": "32"}, "`size` must be a positive integer. Received: size='32'"),
        ({"cue_correlation": 1.1}, "`cue_correlation` must be a number in [0, 1]"),
        ({"cue_correlation": None}, "`cue_correlation` must be a number in [0, 1]"),
        ({"cue_correlation": float("nan")}, "`cue_correlation` must be a number in [0, 1]"),
        ({"indices": np.array([-1])}, "`indices` must lie in [0, 2147483648)"),
        ({"indices": np.array([2**31])}, "`indices` must lie in [0, 2147483648)"),
        ({"indices": np.array([[1]])}, "`indices` must be a one-dimensional array of integers"),
        ({"indices": np.array([0.5])}, "`indices` must be a one-dimensional array of integers"),
    ],
)
def test_bad_arguments(change, message):
    arguments = {"seed": 0, "split": "train", "indices": np.arange(2), **change}
    with pytest.raises(ValueError, match=re.escape(message)):
        texture_shapes.examples(**arguments)
