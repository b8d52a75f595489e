"""The named random numbers."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from srm_keras.data.texture_shapes.drawing import Draws, mix, stream_keys

MANY = Draws(stream_keys(0, "many", np.arange(40_000)))


def test_mix_gives_the_published_splitmix64_sequence():
    gamma = 0x9E3779B97F4A7C15
    states = np.array([(1234567 + k * gamma) % 2**64 for k in range(1, 6)], "uint64")
    assert mix(states).tolist() == [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
        4593380528125082431,
        16408922859458223821,
    ]


@given(st.integers(0, 2**63 - 1), st.lists(st.integers(0, 2**31 - 1), min_size=1, max_size=8))
def test_keys_depend_on_seed_name_and_their_own_index_alone(seed, indices):
    keys = stream_keys(seed, "train", np.array(indices))
    alone = [stream_keys(seed, "train", np.array([index]))[0] for index in indices]
    assert keys.tolist() == alone
    assert len(set(keys.tolist())) == len(set(indices))
    assert not set(keys.tolist()) & set(stream_keys(seed, "test", np.array(indices)).tolist())
    other = stream_keys((seed + 1) % 2**63, "train", np.array(indices))
    assert not set(keys.tolist()) & set(other.tolist())


def test_uniform_fills_its_interval_evenly():
    values = MANY.uniform("x", -2, 3)
    assert values.dtype == np.float32
    assert values.min() >= -2
    assert values.max() < 3
    counts, _ = np.histogram(values, bins=20, range=(-2, 3))
    np.testing.assert_allclose(counts, 2000, atol=6 * np.sqrt(2000))


def test_integers_are_alike():
    counts = np.bincount(MANY.integers("k", 7), minlength=7)
    assert len(counts) == 7
    np.testing.assert_allclose(counts, 40_000 / 7, atol=6 * np.sqrt(40_000 / 7))


def test_normal_has_the_moments_of_a_standard_normal():
    values = MANY.normal("n", (3,)).astype("float64")
    assert values.shape == (40_000, 3)
    assert abs(values.mean()) < 0.01
    assert abs(values.std() - 1) < 0.01
    assert abs((values**4).mean() - 2.7) < 0.05  # 3 less 1.2 / 4: the sum of four uniforms


def test_names_streams_and_entries_are_uncorrelated():
    columns = [
        MANY.uniform("x"),
        MANY.uniform("y"),
        MANY.stream("object").uniform("x"),
        *MANY.uniform("z", shape=(2,)).T,
    ]
    correlation = np.corrcoef(columns) - np.eye(5)
    assert np.abs(correlation).max() < 0.03


def test_a_selection_keeps_its_numbers():
    which = np.array([5, 0, 17])
    np.testing.assert_array_equal(
        MANY[which].uniform("x", shape=(2,)), MANY.uniform("x", shape=(2,))[which]
    )
