"""Labels: balance, cue correlation, conflict, unseen styles."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from srm_keras.data.texture_shapes import generator
from srm_keras.data.texture_shapes.drawing import Draws, stream_keys

seeds = st.integers(0, 2**63 - 1)
splits = st.sampled_from(generator.SPLITS)


@given(seeds, splits, st.floats(0, 1), st.integers(0, 1000))
@settings(max_examples=30)
def test_every_hundred_has_each_shape_ten_times(seed, split, p, run):
    shapes, textures = generator.labels(seed, split, 100 * run + np.arange(100), p)
    assert shapes.dtype == textures.dtype == np.int32
    assert np.bincount(shapes, minlength=10).tolist() == [10] * 10
    first, end = (10, 14) if split == "test_unseen_style" else (0, 10)
    assert textures.min() >= first
    assert textures.max() < end


@given(seeds, st.sampled_from(["train", "test"]))
@settings(max_examples=10)
def test_at_chance_every_pair_occurs_once_in_a_hundred(seed, split):
    shapes, textures = generator.labels(seed, split, np.arange(100), generator.CHANCE)
    assert len(set(zip(shapes.tolist(), textures.tolist(), strict=True))) == 100


@pytest.mark.parametrize("split", ["train", "test"])
@pytest.mark.parametrize("p", [0, 0.1, 0.25, 0.5, 0.9, 0.97, 1])
def test_the_texture_agrees_with_probability_p_for_every_shape(split, p):
    shapes, textures = generator.labels(3, split, np.arange(20_000), p)
    for shape in range(10):
        agreement = (textures[shapes == shape] == shape).mean()
        assert agreement == pytest.approx(p, abs=0.01)
        if p in (0, 1):
            assert agreement == p


@pytest.mark.parametrize("p", [0, 0.5, 0.9])
def test_textures_that_disagree_are_alike(p):
    shapes, textures = generator.labels(3, "train", np.arange(50_000), p)
    other = np.bincount(textures[(shapes == 4) & (textures != 4)], minlength=10)
    other = np.delete(other, 4)
    np.testing.assert_allclose(other, other.mean(), atol=6 * np.sqrt(other.mean()))
    np.testing.assert_allclose(np.bincount(textures), 5000, atol=6 * np.sqrt(5000))


@given(seeds, st.floats(0, 1))
@settings(max_examples=10)
def test_cue_conflict_never_agrees_and_ignores_p(seed, p):
    shapes, textures = generator.labels(seed, "cue_conflict", np.arange(1000), p)
    assert (shapes != textures).all()
    assert len(set(textures.tolist())) == 10
    np.testing.assert_array_equal(
        textures, generator.labels(seed, "cue_conflict", np.arange(1000), 0)[1]
    )


def test_unseen_textures_are_balanced():
    _, textures = generator.labels(0, "test_unseen_style", np.arange(2000), generator.CHANCE)
    np.testing.assert_allclose(np.bincount(textures)[10:], 500, atol=25)


@pytest.mark.parametrize("split", generator.SPLITS)
def test_the_background_is_another_family_of_the_same_group(split):
    indices = np.arange(5000)
    _, textures = generator.labels(0, split, indices, 0.5)
    under = generator.background_textures(Draws(stream_keys(0, split, indices)), split, textures)
    assert (under != textures).all()
    assert set(under.tolist()) == set(textures.tolist())


@given(seeds, splits, st.lists(st.integers(0, 2**31 - 1), min_size=1, max_size=6))
@settings(max_examples=30)
def test_labels_depend_on_their_own_index_alone(seed, split, indices):
    together = generator.labels(seed, split, np.array(indices), 0.3)
    alone = [generator.labels(seed, split, np.array([index]), 0.3) for index in indices]
    assert together[0].tolist() == [int(shape[0]) for shape, _ in alone]
    assert together[1].tolist() == [int(texture[0]) for _, texture in alone]
