"""Made-up images."""

import re

import numpy as np
import pytest

from srm_keras import data


def test_shapes_labels_and_tags():
    examples = data.load_examples(
        "made_up", "train", image_shape=(5, 7), channels=1, classes=3, examples=12, domains=2
    )
    assert examples.images.shape == (12, 5, 7, 1)
    assert examples.labels.tolist() == [0, 1, 2] * 4
    assert examples.info.image_shape == (5, 7, 1)
    assert examples.groups is None
    for domain in ("domain_0", "domain_1"):
        assert np.bincount(examples.labels[examples.domains == domain]).tolist() == [2, 2, 2]
    grouped = data.load_examples("made_up", "train", examples=10, groups=4)
    assert set(grouped.groups) == {f"group_{k}" for k in range(4)}


def test_the_seed_and_the_split_decide():
    def images(split="train", **options):
        return data.load_examples("made_up", split, image_shape=4, **options).images

    np.testing.assert_array_equal(images(seed=1), images(seed=1))
    np.testing.assert_array_equal(images(seed=np.int64(1), classes=np.int8(10)), images(seed=1))
    assert (images(seed=1) != images(seed=2)).any()
    assert (images("train") != images("test")).any()


def test_the_nearest_mean_tells_the_class_in_another_split():
    train, test = (
        data.load_examples("made_up", split, classes=5, examples=50) for split in ("train", "test")
    )
    colours = np.stack([train.images[train.labels == k].mean((0, 1, 2)) for k in range(5)])
    distances = ((test.images.mean((1, 2))[:, None] - colours) ** 2).sum(-1)
    assert (distances.argmin(1) == test.labels).mean() > 0.9


@pytest.mark.parametrize(
    ("split", "options", "message"),
    [
        ("", {}, "`split` must be a name"),
        ("train", {"image_shape": 0}, "`image_shape` must be a positive integer"),
        ("train", {"image_shape": (3, 4, 3)}, "`image_shape` must be a side or a height and"),
        ("train", {"channels": True}, "`channels` must be one of [1, 3]. Received: channels=True"),
        ("train", {"channels": 2}, "`channels` must be one of [1, 3]"),
        ("train", {"classes": 0}, "`classes` must be a positive integer"),
        ("train", {"examples": -1}, "`examples` must be a positive integer"),
        (
            "train",
            {"domains": -1},
            "`domains` must be an integer of at least 0. Received: domains=-1",
        ),
        (
            "train",
            {"groups": True},
            "`groups` must be an integer of at least 0. Received: groups=True",
        ),
        ("train", {"seed": -1}, "`seed` must be an integer in [0, 2**63)"),
    ],
)
def test_bad_options(split, options, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        data.load("made_up", split, **options)
