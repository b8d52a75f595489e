import numpy as np
import pytest

from srm_keras.export.parity import Bound, Parity, compare

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
    parity = Parity(1, max_error, max_error, max_output, None, 0.0, max_error)
    assert parity.within(Bound(max_error=1e-5)) == within


@pytest.mark.parametrize(("snr_db", "within"), [(25.1, True), (24.9, False), (float("nan"), False)])
def test_the_other_bound_is_a_signal_to_noise_ratio(snr_db, within):
    parity = Parity(1, 1.0, 1.0, 1.0, None, snr_db, 1.0)
    assert parity.within(Bound(min_snr_db=25)) == within
    assert not parity.within(Bound(max_error=1e-5, min_snr_db=25))
    assert parity.within(Bound())


def test_nan_outputs_are_never_within():
    parity = compare(scores, lambda x: scores(x) * np.nan, SAMPLES)
    assert not parity.within(Bound(max_error=1e9))
    assert not parity.within(Bound(min_snr_db=0))


def test_other_shapes_are_refused():
    with pytest.raises(ValueError, match=r"same shape. Received: \(70, 2\) and \(70, 1\)"):
        compare(scores, lambda x: x, SAMPLES)


def logits(samples):
    return np.concatenate([np.sin(samples), np.cos(samples), samples / 70], axis=1)


def softmax(x):
    exponentials = np.exp(x - x.max(axis=1, keepdims=True))
    return exponentials / exponentials.sum(axis=1, keepdims=True)


def noisy(samples):
    return logits(samples) + 0.01 * np.cos(7 * samples * np.arange(1, 4)) + 5.0


def test_the_ratio_is_that_of_the_logits_whether_probabilities_or_logits_are_compared():
    of_logits = compare(logits, noisy, SAMPLES).snr_db
    of_probabilities = compare(
        lambda x: softmax(logits(x)), lambda x: softmax(noisy(x)), SAMPLES
    ).snr_db
    signal, other = (f(SAMPLES) - f(SAMPLES).mean(axis=1, keepdims=True) for f in (logits, noisy))
    expected = 10 * np.log10(np.var(signal) / np.var(signal - other))
    assert of_logits == pytest.approx(expected, abs=0.05)
    assert of_probabilities == pytest.approx(expected, abs=0.05)
    assert 30 < expected < 50


def test_logits_can_be_read_from_elsewhere():
    coarse = compare(
        lambda x: softmax(logits(x)),
        lambda x: np.rint(softmax(noisy(x)) * 4) / 4,
        SAMPLES,
        candidate_logits=noisy,
    )
    assert coarse.snr_db == pytest.approx(compare(logits, noisy, SAMPLES).snr_db, abs=1e-6)
    assert coarse.max_error > 0.05


def test_equal_outputs_have_the_largest_ratio():
    assert compare(logits, logits, SAMPLES).snr_db == 300
