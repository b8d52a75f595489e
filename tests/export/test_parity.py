import numpy as np
import pytest

from srm_keras.export.parity import Parity, compare

SAMPLES = np.arange(70, dtype="float32").reshape(70, 1)


def scores(samples):
    return np.concatenate([samples, -samples], axis=1)


def test_every_sample_counts_in_whatever_batch_it_is():
    sizes = []

    def off_by_a_little(samples):
        sizes.append(len(samples))
        return scores(samples) + np.where(samples == 69, [[0.5, 0.0]], 0.0)

    parity = compare(scores, off_by_a_little, SAMPLES)

    assert sizes == [32, 32, 6]
    assert parity.samples == 70
    assert parity.max_error == 0.5
    assert parity.mean_error == pytest.approx(0.5 / 140)
    assert parity.max_output == 69
    assert parity.top1_agreement == 1.0


def test_top1_agreement_is_the_share_of_equal_winners():
    parity = compare(scores, lambda x: np.where(x < 7, -scores(x), scores(x)), SAMPLES)
    # Both scores of sample 0 are 0; samples 1 to 6 have their scores exchanged.
    assert parity.top1_agreement == pytest.approx(64 / 70)


def test_maps_have_no_top1_agreement():
    parity = compare(lambda x: x[:, None, None], lambda x: x[:, None, None], SAMPLES)
    assert parity.top1_agreement is None
    assert parity.max_error == 0


@pytest.mark.parametrize(
    ("max_error", "max_output", "within"),
    [
        (1e-5, 0.9, True),
        (2e-5, 0.9, False),
        (1e-3, 200.0, True),
        (3e-3, 200.0, False),
        (float("nan"), 0.9, False),
    ],
)
def test_the_bound_is_absolute_up_to_outputs_of_1_and_relative_beyond(
    max_error, max_output, within
):
    parity = Parity(1, max_error, max_error, max_output, None)
    assert parity.within(1e-5) == within


def test_nan_outputs_are_never_within():
    parity = compare(scores, lambda x: scores(x) * np.nan, SAMPLES)
    assert not parity.within(1e9)


def test_other_shapes_are_refused():
    with pytest.raises(ValueError, match=r"same shape. Received: \(70, 2\) and \(70, 1\)"):
        compare(scores, lambda x: x, SAMPLES)
