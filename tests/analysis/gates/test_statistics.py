import keras
import numpy as np
import pytest

from srm_keras.analysis.gates.correlation import gate_correlation
from srm_keras.analysis.gates.histograms import BINS, gate_histograms
from srm_keras.analysis.gates.statistics import RunningStatistics, gate_statistics
from srm_keras.analysis.pruning.curve import pruning_curve
from srm_keras.layers import SRM
from tests.support.gated_network import LAYERS, gated_network, gates_of, images
from tests.support.weights import randomize

IMAGES = images()


def running(values, *sizes):
    statistics = RunningStatistics()
    for batch in np.split(values, np.cumsum(sizes)[:-1]):
        statistics.add({"conv2_1_recalibration": batch})
    return statistics.result()["conv2_1_recalibration"]


@pytest.mark.parametrize("sizes", [(100,), (1, 99), (40, 1, 59), (1,) * 100], ids=len)
@pytest.mark.parametrize(("mean", "spread"), [(0.5, 0.2), (0.999, 1e-5), (1e-3, 1e-4)])
def test_numbers_are_those_of_numpy_however_images_are_split(sizes, mean, spread):
    rng = np.random.default_rng(0)
    values = (mean + spread * rng.normal(size=(100, 7))).astype("float32")
    exact = values.astype("float64")
    statistics = running(values, *sizes)
    assert (statistics.block, statistics.images, statistics.channels) == ("conv2_1", 100, 7)
    np.testing.assert_allclose(statistics.channel_means, exact.mean(axis=0), rtol=1e-14)
    np.testing.assert_allclose(statistics.channel_stds, exact.std(axis=0), rtol=1e-9)
    assert statistics.mean == pytest.approx(exact.mean(), rel=1e-14)
    assert statistics.spread_over_images == pytest.approx(exact.std(axis=0).mean(), rel=1e-9)
    assert statistics.spread_over_channels == pytest.approx(exact.mean(axis=0).std(), rel=1e-6)
    assert (statistics.minimum, statistics.maximum) == (exact.min(), exact.max())
    assert statistics.shut == (exact < 0.05).mean()
    assert statistics.open == (exact > 0.95).mean()


@pytest.mark.parametrize(
    ("spec", "data_format"),
    [("srm", "channels_last"), ({"name": "cbam", "reduction": 2, "gain": 4}, "channels_last"),
     ("gct", "channels_last"), ("eca", "channels_first")],
    ids=["srm", "cbam", "gct", "channels_first"],
)  # fmt: skip
def test_the_gates_are_those_of_the_layers(spec, data_format):
    model = gated_network(spec, data_format)
    batches = [IMAGES[:4], IMAGES[4:10], IMAGES[10:]]
    statistics = gate_statistics(model, batches)
    histograms = gate_histograms(model, batches)
    gates = gates_of(model, IMAGES)
    assert list(statistics) == list(histograms) == list(gates)
    spatial = (2, 3) if data_format == "channels_first" else (1, 2)
    for name, values in gates.items():
        weights = values.mean(axis=spatial)
        assert np.ptp(weights) > 0.01
        np.testing.assert_allclose(statistics[name].channel_means, weights.mean(axis=0), rtol=1e-5)
        np.testing.assert_allclose(statistics[name].channel_stds, weights.std(axis=0), atol=1e-6)
        shares = np.histogram(values, BINS, (0, 1))[0] / values.size
        # A gate at the very edge of an interval may be on its other side.
        np.testing.assert_allclose(histograms[name], shares, atol=2.1 / values.size)
        assert histograms[name].sum() == pytest.approx(1)


def test_rows_hold_one_number_a_column():
    row = running(np.array([[0.0, 1.0], [0.5, 1.0]]), 2).to_row()
    assert row == {
        "block": "conv2_1",
        "images": 2,
        "channels": 2,
        "mean": 0.625,
        "spread_over_images": 0.125,
        "spread_over_channels": 0.375,
        "minimum": 0.0,
        "maximum": 1.0,
        "shut": 0.25,
        "open": 0.5,
    }


@pytest.mark.parametrize("analyse", [gate_statistics, gate_histograms])
def test_bad_input_is_refused(analyse):
    with pytest.raises(ValueError, match="`batches` must hold at least one batch of images"):
        analyse(gated_network("eca"), [])
    inputs = keras.Input((8, 8, 3))
    plain = keras.Model(inputs, keras.layers.Flatten()(inputs), name="plain")
    with pytest.raises(ValueError, match=r"must contain recalibration layers.*'plain'"):
        analyse(plain, [IMAGES])


@pytest.mark.parametrize("analyse", [gate_statistics, gate_histograms, gate_correlation])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_images_and_gates_that_are_not_finite_are_refused(analyse, value):
    """They were histograms with negative counts, and statistics of NaN."""
    damaged = IMAGES.copy()
    damaged[1, 0, 0, 0] = value
    with pytest.raises(ValueError, match=rf"`batches` .* finite.*1 of {len(IMAGES)} .* at 1"):
        analyse(gated_network("srm"), [damaged])
    model = gated_network("srm")
    kernel = model.get_layer(LAYERS[1]).trainable_variables[0]
    kernel.assign(np.full(kernel.shape, np.nan))
    with pytest.raises(ValueError, match=rf"finite gates.*in those of '{LAYERS[1]}'"):
        analyse(model, [IMAGES])


def test_a_sequential_network_is_read_and_pruned_as_its_functional_twin():
    layers = [keras.Input((8, 8, 3)), keras.layers.Conv2D(6, 3), SRM(name=LAYERS[0])]
    ends = [keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(3, "softmax")]
    network = keras.Sequential([*layers, *ends])
    randomize(network)
    twin = keras.Model(network.inputs, network.outputs)
    found, expected = (gate_statistics(model, [IMAGES])[LAYERS[0]] for model in (network, twin))
    np.testing.assert_array_equal(found.channel_means, expected.channel_means)
    data = [(IMAGES, np.arange(len(IMAGES)) % 3)]
    assert pruning_curve(network, data) == pruning_curve(twin, data)
