import math

import numpy as np
import pytest
from PIL import Image

from srm_keras.analysis.gates.correlation import (
    RunningCorrelation,
    gate_correlation,
    plot_correlation_by_block,
    plot_correlation_matrices,
)
from tests.support.gated_network import gated_network, gates_of, images

IMAGES = images()
BLOCK = "conv2_1_recalibration"


def gates(channels=9, mean=0.5, spread=0.1, seed=0):
    """Gates that have something to do with each other, float32 as networks give them."""
    rng = np.random.default_rng(seed)
    mixed = rng.normal(size=(200, 4)) @ rng.normal(size=(4, channels))
    return (mean + spread * (mixed + rng.normal(size=mixed.shape))).astype("float32")


def correlation(values, *sizes):
    running = RunningCorrelation()
    for batch in np.split(values, np.cumsum(sizes)[:-1]):
        running.add({BLOCK: batch})
    return running.result()


@pytest.mark.parametrize(
    ("mean", "spread"), [(0.5, 0.1), (0.999, 1e-4), (1e-3, 1e-5)], ids=["wide", "open", "shut"]
)
def test_matrix_is_that_of_numpy_in_float64(mean, spread):
    values = gates(mean=mean, spread=spread)
    block = correlation(values, 64, 64, 64, 8).blocks[BLOCK]
    expected = np.corrcoef(values.astype("float64"), rowvar=False)
    assert np.abs(expected - np.eye(9)).max() > 0.3
    np.testing.assert_allclose(block.matrix, expected, rtol=0, atol=1e-9)
    assert block.constant_channels == 0
    off = (expected**2).sum() - 9
    assert block.squared_sum == pytest.approx((expected**2).sum())
    assert block.squared_sum_off_diagonal == pytest.approx(off)
    assert block.mean_squared == pytest.approx(off / 72)


def test_splitting_into_batches_changes_nothing():
    values = gates(mean=0.999, spread=1e-4)
    whole = correlation(values, 200).blocks[BLOCK].matrix
    for sizes in ((1,) * 200, (199, 1), (1, 100, 99)):
        split = correlation(values, *sizes).blocks[BLOCK].matrix
        np.testing.assert_allclose(split, whole, rtol=0, atol=1e-10)


def test_constant_channels_have_no_correlation_and_are_counted():
    values = gates()
    values[:, 3] = 0.7
    values[:, 5] = 0.0
    # What rounding does to a dead gate: a unit in the last place up or down.
    values[:, 7] = np.nextafter(np.float32(0.9), (np.arange(200) % 2).astype("float32"))
    assert np.unique(values[:, 7]).size == 2
    block = correlation(values, 150, 50).blocks[BLOCK]
    dead, alive = [3, 5, 7], [0, 1, 2, 4, 6, 8]
    assert np.flatnonzero(block.constant).tolist() == dead
    assert not block.matrix[dead].any()
    assert not block.matrix[:, dead].any()
    expected = np.corrcoef(values[:, alive].astype("float64"), rowvar=False)
    np.testing.assert_allclose(block.matrix[np.ix_(alive, alive)], expected, rtol=0, atol=1e-9)
    assert block.squared_sum == pytest.approx((expected**2).sum())
    assert block.mean_squared == pytest.approx(((expected**2).sum() - 6) / 30)


def test_a_block_of_dead_gates_has_no_mean():
    result = correlation(np.full((5, 3), 0.5, "float32"), 5)
    assert math.isnan(result.mean_squared)
    assert result.squared_sum == result.squared_sum_off_diagonal == 0
    assert [row["mean_squared"] for row in result.to_rows()] == [None, None]


@pytest.mark.parametrize("number", [10, 50])
def test_chance_is_the_mean_of_independent_gates(number):
    values = np.random.default_rng(0).uniform(size=(number, 300))
    result = correlation(values, number)
    assert result.chance == pytest.approx(result.mean_squared, rel=0.03)


def test_the_network_is_the_sum_of_its_blocks():
    running = RunningCorrelation()
    first, second = gates(channels=9), gates(channels=4, seed=1)
    running.add({"conv2_1_recalibration": first, "conv3_1_recalibration": second})
    result = running.result()
    squares = [(np.corrcoef(v.astype("float64"), rowvar=False) ** 2).sum() for v in (first, second)]
    assert result.squared_sum == pytest.approx(sum(squares))
    assert result.mean_squared == pytest.approx((sum(squares) - 13) / (72 + 12))
    rows = result.to_rows()
    assert [row["block"] for row in rows] == ["conv2_1", "conv3_1", "network"]
    assert [row["channels"] for row in rows] == [9, 4, 13]
    assert [row["pairs"] for row in rows] == [72, 12, 84]


def test_a_network_is_read_in_one_pass_over_the_images():
    model = gated_network({"name": "cbam", "reduction": 2})
    batches = iter([IMAGES[:4], IMAGES[4:10], IMAGES[10:]])
    result = gate_correlation(model, batches)
    assert result.images == 11
    for name, values in gates_of(model, IMAGES).items():
        expected = np.corrcoef(values.mean(axis=(1, 2)), rowvar=False)
        np.testing.assert_allclose(result.blocks[name].matrix, expected, rtol=0, atol=1e-3)


@pytest.mark.parametrize("number", [0, 1])
def test_fewer_than_two_images_are_refused(number):
    batches = [IMAGES[:1]] * number
    with pytest.raises(ValueError, match=f"at least two images. Received: {number}"):
        gate_correlation(gated_network("eca"), batches)


def test_pictures_have_a_panel_for_each_block_and_network(tmp_path):
    running = RunningCorrelation()
    for name in ("conv2_1_recalibration", "conv3_1_recalibration"):
        running.add({name: gates()})
    result = running.result()
    sizes = []
    for runs, blocks in ((1, ["conv2_1"]), (2, ["conv2_1", "conv3_1"])):
        path = tmp_path / f"{runs}.png"
        plot_correlation_matrices({str(run): result for run in range(runs)}, blocks, path)
        sizes.append(Image.open(path).size)
    assert sizes[1][0] > sizes[0][0] + 300
    assert sizes[1][1] > sizes[0][1] + 300
    picture = np.asarray(Image.open(tmp_path / "1.png").convert("RGB")).reshape(-1, 3)
    # The colour of r = 1, on the diagonal, whatever the largest other coefficient is.
    assert (np.abs(picture.astype(int) - (103, 0, 31)).max(axis=1) <= 2).sum() > 9 * 30**2
    plot_correlation_by_block({"se": result, "srm": result}, tmp_path / "bars.png")
    assert Image.open(tmp_path / "bars.png").size[0] > 500
