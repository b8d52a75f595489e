import keras
import numpy as np
import pytest

from srm_keras.analysis.activations.top_activations import RESOLUTION, diversity, top_activations
from srm_keras.analysis.gates.reading import gate_model
from srm_keras.layers import Recalibration
from tests.support.networks import small_network
from tests.support.weights import feature_map, randomize


class GivenGates(Recalibration):
    """A module that nobody has registered: the feature map itself is the gates."""

    def gates(self, inputs, training=None):
        return inputs


def given(channels: int, side: int = 1) -> keras.Model:
    x = keras.Input((side, side, channels))
    return keras.Model(x, GivenGates(name="conv2_1_recalibration", data_format="channels_last")(x))


def in_batches(values, size):
    return (values[start : start + size] for start in range(0, len(values), size))


def top_of(weights, k, size=8):
    """``top_activations`` where the channel weights (N, C) are known."""
    found = top_activations(given(weights.shape[1]), in_batches(weights[:, None, None], size), k)
    return found.blocks["conv2_1"]


def brute_force(weights, k):
    """Positions by weight, then by number: (C, k)."""
    order = [np.lexsort((np.arange(len(column)), -column))[:k] for column in weights.T]
    return np.array(order)


@pytest.mark.parametrize("size", [1, 5, 12, 37])
@pytest.mark.parametrize("levels", [8, 2**18])
def test_it_is_what_sorting_gives_however_images_are_batched(levels, size):
    """8 levels: nearly everything is tied."""
    rng = np.random.default_rng(0)
    weights = (rng.integers(0, levels, (37, 6)) / levels).astype("float32")
    found = top_of(weights, 4, size)
    expected = brute_force(weights, 4)
    np.testing.assert_array_equal(found.indices, expected)
    np.testing.assert_array_equal(found.weights, np.take_along_axis(weights.T, expected, 1))
    np.testing.assert_array_equal(found.tied, (weights == weights.max(axis=0)).sum(axis=0) > 1)
    assert found.images == 37


def test_differences_of_rounding_are_ties():
    weights = np.full((20, 2), 0.5, "float32")
    weights[13, 0] += 1e-7
    weights[13, 1] += 4 * RESOLUTION
    found = top_of(weights, 1)
    assert found.tied.tolist() == [True, False]
    assert found.indices[:, 0].tolist() == [0, 13]


def test_channels_with_constant_gates_are_counted_and_left_out():
    rng = np.random.default_rng(0)
    weights = rng.uniform(size=(30, 5)).astype("float32")
    weights[:, [1, 4]] = 0.75
    found = top_of(weights, 3).diversity
    assert (found.channels, found.tied) == (3, 2)
    expected = top_of(weights[:, [0, 2, 3]], 3).diversity
    assert (found.distinct, found.overlap) == (expected.distinct, expected.overlap)
    silent = top_of(np.ones((30, 5), "float32"), 3).diversity
    assert (silent.channels, silent.tied, silent.distinct, silent.overlap) == (0, 5, 0, 0)
    assert silent.to_dict()["distinct_share"] == 0


def test_spatial_gates_are_averaged():
    rng = np.random.default_rng(0)
    gates = rng.uniform(size=(11, 3, 3, 4)).astype("float32")
    found = top_activations(given(4, 3), [gates], 2).blocks["conv2_1"]
    np.testing.assert_array_equal(found.indices, brute_force(gates.mean(axis=(1, 2)), 2))


@pytest.mark.parametrize("module", ["srm", pytest.param("cbam", marks=pytest.mark.slow)])
def test_a_network(module):
    model = small_network("cifar_basic", module)
    randomize(model)
    images = feature_map((9, 32, 32, 3))
    found = top_activations(model, in_batches(images, 4), 3)
    assert list(found.blocks) == ["conv2_1", "conv3_1", "conv4_1"]
    for name, block in found.blocks.items():
        gates = gate_model(model).predict(images, verbose=0)[f"{name}_recalibration"]
        weights = gates.mean(axis=(1, 2)).T
        np.testing.assert_allclose(
            block.weights, np.sort(weights)[:, :-4:-1], atol=2e-6, err_msg=name
        )
        reached = np.take_along_axis(weights, block.indices, 1)
        np.testing.assert_allclose(reached, block.weights, atol=2e-6)
    rows = found.to_rows()
    assert len(rows) == 3 * (16 + 32 + 64)
    assert rows[4] == {
        "block": "conv2_1",
        "channel": 1,
        "rank": 2,
        "image": found.blocks["conv2_1"].indices[1, 1],
        "weight": found.blocks["conv2_1"].weights[1, 1],
    }


def test_overlap_and_distinct_are_those_of_sets():
    rng = np.random.default_rng(0)
    indices = np.array([rng.choice(12, 4, replace=False) for _ in range(7)])
    found = diversity(indices, np.zeros(7, bool), 12)
    sets = [set(row) for row in indices]
    pairs = [(i, j) for i in range(7) for j in range(i)]
    assert found.overlap == pytest.approx(
        np.mean([len(sets[i] & sets[j]) / 4 for i, j in pairs]), rel=1e-12
    )
    assert found.distinct == len(set(indices[:, 0]))
    assert diversity(indices[:1], np.zeros(1, bool), 12).overlap == 0


def test_what_chance_gives_is_what_a_simulation_gives():
    rng = np.random.default_rng(0)
    channels, images, k = 16, 40, 5
    drawn = [
        diversity(
            np.argsort(rng.uniform(size=(channels, images)))[:, :k],
            np.zeros(channels, bool),
            images,
        )
        for _ in range(2000)
    ]
    assert np.mean([each.distinct for each in drawn]) == pytest.approx(
        drawn[0].distinct_by_chance, rel=0.01
    )
    assert np.mean([each.overlap for each in drawn]) == pytest.approx(
        drawn[0].overlap_by_chance, rel=0.01
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"k": 0}, "`k` must be a positive integer. Received: k=0"),
        ({"k": 5}, "`k` must be at most the number of images in `batches`, 4. Received: k=5"),
        ({"batches": []}, "`batches` must hold at least one image"),
        ({"batches": [np.full((1, 1, 1, 2), np.nan)]}, "must hold finite images"),
        ({"blocks": ["conv2_2"]}, "Received: 'conv2_2' .did you mean 'conv2_1'"),
        ({"model": small_network("cifar_basic", None)}, "must contain recalibration layers"),
    ],
)
def test_bad_arguments(arguments, message):
    batches = [np.zeros((4, 1, 1, 2), "float32")]
    with pytest.raises(ValueError, match=message):
        top_activations(**{"model": given(2), "batches": batches, **arguments})
